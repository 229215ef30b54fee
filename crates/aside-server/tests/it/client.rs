//! A client that speaks to a real server: TLS pinned to the identity key, WebSocket, frames.

use crate::support::Person;
use aside_protocol::connection::{self, BindingKind, ClientHello, TLS_EXPORTER_BYTES, TLS_EXPORTER_LABEL};
use aside_protocol::frame::{ClientFrame, RequestId, ServerFrame, account, anonymous};
use aside_protocol::id::{Binding, Nonce};
use aside_protocol::inbox::InviteToken;
use aside_protocol::key::PublicKey;
use aside_protocol::link::ServerPin;
use aside_protocol::refusal::Refusal;
use aside_server::tls::{ISSUER_NAME_DER, identity_spki_der};
use futures_util::{SinkExt, StreamExt};
use rustls::RootCertStore;
use rustls::pki_types::{ServerName, TrustAnchor};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// What a client that knows only the pin trusts.
pub fn client_config(identity: &PublicKey) -> rustls::ClientConfig {
    let anchor = TrustAnchor {
        subject: ISSUER_NAME_DER.into(),
        subject_public_key_info: identity_spki_der(identity).into(),
        name_constraints: None,
    };
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768],
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(RootCertStore { roots: vec![anchor] })
        .with_no_client_auth()
}

pub async fn tls(pin: &ServerPin) -> std::io::Result<TlsStream<TcpStream>> {
    let host = pin.address.host().to_owned();
    let socket = TcpStream::connect((host.as_str(), pin.address.port())).await?;
    socket.set_nodelay(true)?;
    let config = Arc::new(client_config(&pin.identity_key));
    TlsConnector::from(config).connect(ServerName::try_from(host).unwrap(), socket).await
}

pub struct Client {
    pub socket: WebSocketStream<TlsStream<TcpStream>>,
    pub binding: Binding,
    next: u32,
}

impl Client {
    pub async fn connect(pin: &ServerPin, path: &str) -> Self {
        let stream = tls(pin).await.unwrap();
        let tls = stream.get_ref().1;
        let exporter = tls.export_keying_material([0; TLS_EXPORTER_BYTES], TLS_EXPORTER_LABEL, None).unwrap();
        assert_eq!(tls.negotiated_key_exchange_group().unwrap().name(), rustls::NamedGroup::X25519MLKEM768);
        let url = format!("wss://{}{path}", pin.address);
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let nonce = Nonce([9; 32]);
        let hello = ClientFrame::<anonymous::Request>::Hello(ClientHello { version: 1, nonce });
        socket.send(Message::Binary(hello.encode().into())).await.unwrap();
        let frame = socket.next().await.unwrap().unwrap().into_data();
        let Ok(ServerFrame::Hello(hello)) = anonymous::FromServer::decode(&frame) else { panic!("no hello") };
        assert_eq!(hello.binding_kind, BindingKind::TlsExporter);
        let binding = connection::binding(hello.binding_kind, &pin.identity_key, &nonce, &hello.nonce, &exporter);
        hello.verify(&pin.identity_key, &binding, aside_server::shell::now().day()).unwrap();
        Self { socket, binding, next: 1 }
    }

    pub async fn send(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(bytes.into())).await.unwrap();
    }

    pub async fn frame(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return Some(bytes.to_vec()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    pub async fn account(&mut self, request: account::Request) -> Result<account::Answer, Refusal> {
        self.next += 1;
        self.send(ClientFrame::Request(RequestId(self.next), request).encode()).await;
        loop {
            match account::FromServer::decode(&self.frame().await.unwrap()).unwrap() {
                ServerFrame::Answer(_, answer) => return Ok(answer),
                ServerFrame::Refused(_, refusal) => return Err(refusal),
                _ => {}
            }
        }
    }

    pub async fn anonymous(&mut self, request: anonymous::Request) -> Result<anonymous::Answer, Refusal> {
        self.next += 1;
        self.send(ClientFrame::Request(RequestId(self.next), request).encode()).await;
        loop {
            match anonymous::FromServer::decode(&self.frame().await.unwrap()).unwrap() {
                ServerFrame::Answer(_, answer) => return Ok(answer),
                ServerFrame::Refused(_, refusal) => return Err(refusal),
                _ => {}
            }
        }
    }

    pub async fn register(&mut self, person: &Person, invite: InviteToken) {
        let registration = person.registration(invite, &self.binding);
        let done = self.account(account::Request::Register(registration)).await;
        assert_eq!(done, Ok(account::Answer::Done));
    }
}
