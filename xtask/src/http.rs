//! Just enough HTTP to ask a program on this machine whether it answers. It must not be used for anything else.

use anyhow::{Context, Result, anyhow, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header lines, as they came.
    pub headers: Vec<String>,
    /// The body; text, or the part of it that is.
    pub body: String,
}

impl Answer {
    /// The value of the first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Splits `http://127.0.0.1:PORT/PATH` into address and path.
pub fn split(url: &str) -> Result<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url:?} is no http:// address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = host.parse().with_context(|| format!("{host:?} is not IP:PORT"))?;
    match address.ip().is_loopback() {
        true => Ok((address, format!("/{path}"))),
        false => bail!("{url:?} is not on this machine"),
    }
}

/// `GET`, over a connection of its own.
///
/// # Errors
/// Nobody listens, or what comes is not HTTP.
pub fn get(address: SocketAddr, path: &str, cookie: Option<&str>) -> Result<Answer> {
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{cookie}Connection: close\r\n\r\n");
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("nobody at {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).with_context(|| format!("GET http://{address}{path}"))
}

fn parse(text: &str) -> Result<Answer> {
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| anyhow!("the answer is no HTTP: {text:?}"))?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| anyhow!("the answer has no status: {head:?}"))?;
    Ok(Answer { status, headers: lines.map(str::to_owned).collect(), body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse("HTTP/1.1 303 See Other\r\nset-cookie: a=b; Path=/\r\n\r\nbody").unwrap();
        assert_eq!(
            (answer.status, answer.header("Set-Cookie"), answer.body.as_str()),
            (303, Some("a=b; Path=/"), "body")
        );
        assert!(parse("garbage").is_err());
    }

    #[test]
    fn other_machines_are_refused() {
        assert!(split("http://192.0.2.1:80/").unwrap_err().to_string().contains("not on this machine"));
        assert_eq!(split("http://127.0.0.1:80/open?secret=x").unwrap().1, "/open?secret=x");
    }
}
