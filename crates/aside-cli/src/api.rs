//! The loopback API as the commands call it. Shapes hold what the commands read; `docs/loopback-api/` has the whole.

use crate::failure::Failure;
use aside_client::profile::Running;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `Account`.
#[derive(Debug, Deserialize)]
pub struct Account {
    pub address: String,
}

/// `State`.
#[derive(Debug, Deserialize)]
pub struct State {
    pub account: Option<Account>,
    pub connections: Vec<ServerConnection>,
    pub unread_total: u32,
}

/// `ServerConnection`.
#[derive(Debug, Deserialize)]
pub struct ServerConnection {
    pub server: String,
    pub status: String,
    pub advice: Option<String>,
}

/// `Person`, and `Member` with it.
#[derive(Debug, Deserialize)]
pub struct Person {
    pub address: String,
    pub display_name: String,
    pub is_self: bool,
}

/// `MessagePreview`.
#[derive(Debug, Deserialize)]
pub struct Preview {
    pub sender: Person,
    pub text: String,
}

/// `Conversation`.
#[derive(Debug, Deserialize)]
pub struct Conversation {
    pub id: String,
    pub title: String,
    pub peer: Option<String>,
    pub members: Vec<Person>,
    pub last_message: Option<Preview>,
    pub unread_count: u32,
    pub state: String,
    pub paused_reason: Option<String>,
}

/// `Contact`.
#[derive(Debug, Deserialize)]
pub struct Contact {
    pub address: String,
    pub conversation_id: String,
    pub state: String,
    pub failure: Option<String>,
    pub verified: bool,
}

/// `ContactLink`.
#[derive(Debug, Deserialize)]
pub struct ContactLink {
    pub link: String,
}

/// `SafetyNumber`.
#[derive(Debug, Deserialize)]
pub struct SafetyNumber {
    pub digits: Vec<String>,
    pub verified: bool,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorContent,
}

#[derive(Deserialize)]
struct ErrorContent {
    code: String,
    message: String,
}

/// Calls one client.
#[derive(Clone)]
pub struct Api {
    http: Client,
    base: String,
    secret: String,
}

/// While it lives, the client that gave it goes on serving.
pub struct Hold {
    _open: Response,
}

/// Why a call gave nothing.
#[derive(Debug)]
pub enum CallFailure {
    /// Nobody listens there; the call was not made.
    NobodyThere,
    /// The call was made.
    Other(Failure),
}

impl From<Failure> for CallFailure {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl<E: Into<Failure>> From<Result<std::convert::Infallible, E>> for CallFailure {
    fn from(error: Result<std::convert::Infallible, E>) -> Self {
        match error {
            Err(error) => Self::Other(error.into()),
        }
    }
}

impl Api {
    /// For a running client. Proxies of the environment are not asked: the client is on this machine.
    pub fn new(running: &Running) -> Result<Self, Failure> {
        let http = Client::builder().no_proxy().build().map_err(|error| Failure::Strange(error.to_string()))?;
        Ok(Self { http, base: format!("http://127.0.0.1:{}/api", running.port), secret: running.secret.clone() })
    }

    /// Reads.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallFailure> {
        read(self.call(self.request(Method::GET, path)).await?).await
    }

    /// Does, and reads what came of it.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CallFailure> {
        read(self.call(self.request(Method::POST, path).json(body)).await?).await
    }

    /// Changes, and reads what came of it.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CallFailure> {
        read(self.call(self.request(Method::PUT, path).json(body)).await?).await
    }

    /// Does something that has no answer.
    pub async fn tell(&self, path: &str, body: &impl Serialize) -> Result<(), CallFailure> {
        self.call(self.request(Method::POST, path).json(body)).await.map(drop)
    }

    /// Keeps the client from ending until the hold is dropped.
    pub async fn hold(&self) -> Result<Hold, CallFailure> {
        Ok(Hold { _open: self.call(self.request(Method::GET, "/hold")).await? })
    }

    /// Opens a stream.
    pub async fn open(&self, path: &str) -> Result<Response, CallFailure> {
        self.call(self.request(Method::GET, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.secret)
    }

    async fn call(&self, request: RequestBuilder) -> Result<Response, CallFailure> {
        let response = request.send().await.map_err(|error| match error.is_connect() {
            true => CallFailure::NobodyThere,
            false => CallFailure::Other(Failure::Gone),
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        match response.json::<ErrorBody>().await {
            Ok(ErrorBody { error: ErrorContent { code, message } }) => Err(Failure::Refused { code, message }.into()),
            Err(_) => Err(Failure::Strange(status.to_string()).into()),
        }
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, CallFailure> {
    let bytes = response.bytes().await.map_err(|_| Failure::Gone)?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::Strange(error.to_string()).into())
}

/// An answer as it came, for `--json`.
pub type Raw = Value;
