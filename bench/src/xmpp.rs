//! Prosody's client: XMPP (RFC 6120) over direct TLS, SASL PLAIN, stream management (XEP-0198) with an acknowledgement
//! for every message. Prosody acknowledges what it has taken, and syncs nothing; a peer, not a model.

use crate::mark;
use crate::network::{Encrypted, Network};
use crate::peer::{self, Event, Peer};
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Mutex;

const STREAM: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

/// A server on which users `u0`, `u1`, … exist with the password `pw`.
#[derive(Clone)]
pub struct Xmpp {
    /// Where it is.
    pub network: Network,
}

/// Both halves write: the receiving one answers the server's questions.
type Writer = Arc<Mutex<WriteHalf<Encrypted>>>;

/// Sends to one user.
pub struct Sender {
    writer: Writer,
    to: u32,
}

/// Receives.
pub struct Receiver {
    reader: ReadHalf<Encrypted>,
    writer: Writer,
    received: BytesMut,
    scan: Scan,
    /// Stanzas that were handled, for the server's own requests of acknowledgement.
    handled: u32,
}

async fn write(writer: &Writer, text: &str) -> Result<()> {
    let mut writer = writer.lock().await;
    writer.write_all(text.as_bytes()).await?;
    Ok(writer.flush().await?)
}

/// Finds the ends of top-level elements, going on where it stopped.
#[derive(Default)]
struct Scan {
    at: usize,
    depth: i32,
}

impl Scan {
    /// The length of the first whole element.
    fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let open = self.at + memchr::memchr(b'<', bytes.get(self.at..)?)?;
            let close = end_of_tag(bytes, open + 1)?;
            self.at = close + 1;
            match (bytes.get(open + 1)?, bytes.get(close - 1)?) {
                (b'?', _) => continue,
                (b'/', _) => self.depth -= 1,
                (_, b'/') => {}
                _ => self.depth += 1,
            }
            if self.depth <= 0 {
                return Some(std::mem::take(self).at);
            }
        }
    }
}

/// Where a tag's `>` is; one within quotes is none.
fn end_of_tag(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr3(b'>', b'"', b'\'', bytes.get(at..)?)?;
        let found = *bytes.get(at)?;
        if found == b'>' {
            return Some(at);
        }
        at += 1 + memchr::memchr(found, bytes.get(at + 1..)?)? + 1;
    }
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = element.split_once(&format!(" {name}="))?;
    let quote = value.chars().next()?;
    value.get(1..)?.split(quote).next()
}

fn has(element: &[u8], text: &str) -> bool {
    memchr::memmem::find(element, text.as_bytes()).is_some()
}

impl Receiver {
    async fn fill(&mut self) -> Result<()> {
        match self.reader.read_buf(&mut self.received).await? {
            0 => bail!("closed by the server"),
            _ => Ok(()),
        }
    }

    async fn open_stream(&mut self) -> Result<()> {
        write(&self.writer, STREAM).await?;
        loop {
            if let Some(at) = memchr::memmem::find(&self.received, b"<stream:stream")
                && let Some(end) = end_of_tag(&self.received, at)
            {
                self.received.advance(end + 1);
                break;
            }
            self.fill().await?;
        }
        self.expect("features").await
    }

    async fn element(&mut self) -> Result<BytesMut> {
        loop {
            if let Some(length) = self.scan.next(&self.received) {
                return Ok(self.received.split_to(length));
            }
            self.fill().await?;
        }
    }

    async fn expect(&mut self, what: &str) -> Result<()> {
        loop {
            let element = self.element().await?;
            if has(&element, what) {
                return Ok(());
            }
            if has(&element, "<failure") || has(&element, "stream:error") || has(&element, "type='error'") {
                bail!("{}", String::from_utf8_lossy(&element));
            }
        }
    }

    async fn handle(&mut self, element: &[u8], events: &mut Vec<Event>) -> Result<()> {
        if element.starts_with(b"<message") {
            self.handled += 1;
            if has(element, "type='error'") {
                bail!("{}", String::from_utf8_lossy(element));
            }
            events.extend(mark::find(element).map(Event::Delivered));
        } else if element.starts_with(b"<r ") || element.starts_with(b"<r/") {
            write(&self.writer, &format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled)).await?;
        } else if element.starts_with(b"<a ") {
            let count = attribute(std::str::from_utf8(element)?, "h").context("an acknowledgement of nothing")?;
            events.push(Event::Accepted(count.parse()?));
        } else if element.starts_with(b"<iq") {
            self.handled += 1;
            let text = std::str::from_utf8(element)?;
            if attribute(text, "type") == Some("get") {
                let id = attribute(text, "id").unwrap_or_default();
                write(&self.writer, &format!("<iq type='result' id='{id}'/>")).await?;
            }
        } else if element.starts_with(b"<presence") {
            self.handled += 1;
        } else if has(element, "stream:error") {
            bail!("{}", String::from_utf8_lossy(element));
        }
        Ok(())
    }
}

impl Peer for Xmpp {
    type Sender = Sender;
    type Receiver = Receiver;

    async fn prepare(&self, _: u32) -> Result<()> {
        Ok(())
    }

    async fn session(&self, user: u32) -> Result<(Sender, Receiver)> {
        let (reader, writer) = split(self.network.connect().await?);
        let writer = Arc::new(Mutex::new(writer));
        let received = BytesMut::with_capacity(4_096);
        let mut receiver = Receiver { reader, writer: writer.clone(), received, scan: Scan::default(), handled: 0 };
        receiver.open_stream().await?;
        let plain = STANDARD.encode(format!("\0u{user}\0pw"));
        let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
        write(&writer, &auth).await?;
        receiver.expect("<success").await?;
        receiver.open_stream().await?;
        write(&writer, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await?;
        receiver.expect("<jid>").await?;
        write(&writer, "<presence/><enable xmlns='urn:xmpp:sm:3'/>").await?;
        receiver.expect("<enabled").await?;
        receiver.handled = 0;
        Ok((Sender { writer, to: user + 1 }, receiver))
    }
}

impl peer::Sender for Sender {
    async fn send(&mut self, messages: Vec<String>) -> Result<()> {
        let mut stanzas = String::new();
        for message in messages {
            let id = message.get(2..mark::BYTES_MIN).unwrap_or_default();
            let to = self.to;
            stanzas.push_str(&format!(
                "<message to='u{to}@localhost' type='chat' id='{id}'><body>{message}</body></message>\
                 <r xmlns='urn:xmpp:sm:3'/>"
            ));
        }
        write(&self.writer, &stanzas).await
    }
}

impl peer::Receiver for Receiver {
    async fn next(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let element = self.element().await?;
        self.handle(&element, events).await?;
        while let Some(length) = self.scan.next(&self.received) {
            let element = self.received.split_to(length);
            self.handle(&element, events).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_whole_whatever_stands_in_quotes() {
        let stream = b"<a x='>'/><message to=\"</b>\"><body>t</body></message><r";
        let mut scan = Scan::default();
        let first = scan.next(stream).unwrap();
        assert_eq!(&stream[..first], b"<a x='>'/>");
        let rest = &stream[first..];
        let second = scan.next(rest).unwrap();
        assert!(rest[..second].ends_with(b"</message>"));
        assert_eq!(scan.next(&rest[second..]), None);
    }
}
