//! The loopback API as the commands call it. Shapes hold what the commands read; `docs/loopback-api/` has the whole.

use crate::failure::Failure;
use aside_client::profile::Running;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::AsyncReadExt;

/// Bytes of a file that are read at once.
const UPLOAD_CHUNK_BYTES: usize = 256 * 1024;

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
    #[serde(default)]
    pub healing: Vec<Healing>,
    pub linking: Option<Linking>,
    pub device: Option<Device>,
}

/// `ServerConnection`.
#[derive(Debug, Deserialize)]
pub struct ServerConnection {
    pub server: String,
    pub status: String,
    pub advice: Option<String>,
}

/// `Person`.
#[derive(Debug, Deserialize)]
pub struct Person {
    pub display_name: String,
    pub is_self: bool,
}

/// `Member`.
#[derive(Debug, Deserialize)]
pub struct Member {
    pub address: String,
    pub is_self: bool,
    pub role: Option<String>,
    pub state: Option<String>,
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
    pub members: Vec<Member>,
    pub last_message: Option<Preview>,
    pub unread_count: u32,
    pub state: String,
    pub paused_reason: Option<String>,
    pub notice: Option<Notice>,
}

/// `Healing`.
#[derive(Debug, Deserialize)]
pub struct Healing {
    pub title: String,
    pub notice: Notice,
}

/// `Notice`.
#[derive(Debug, Deserialize)]
pub struct Notice {
    pub text: String,
}

/// `Contact`.
#[derive(Debug, Deserialize)]
pub struct Contact {
    pub address: String,
    pub display_name: String,
    pub conversation_id: Option<String>,
    pub state: String,
    pub failure: Option<String>,
    pub verified: bool,
    pub blocked: bool,
    pub key_changed: bool,
    pub unvouched: Option<String>,
}

/// `ContactLink`.
#[derive(Debug, Deserialize)]
pub struct ContactLink {
    pub id: String,
    pub link: String,
    pub expires_at: i64,
    pub used: u32,
}

/// `GroupInvite`.
#[derive(Debug, Deserialize)]
pub struct GroupInvite {
    pub link: String,
}

/// `JoinRequest`.
#[derive(Debug, Deserialize)]
pub struct JoinRequest {
    pub address: String,
}

/// `SafetyNumber`.
#[derive(Debug, Deserialize)]
pub struct SafetyNumber {
    pub digits: Vec<String>,
    pub verified: bool,
    pub matches: Option<bool>,
}

/// `Device`.
#[derive(Debug, Deserialize)]
pub struct Device {
    pub id: String,
    pub name: String,
    pub is_this: bool,
    pub revoked_at: Option<i64>,
}

/// `DeviceLink`.
#[derive(Debug, Deserialize)]
pub struct DeviceLink {
    pub link: String,
}

/// A backup that a restore would use.
#[derive(Debug, Deserialize)]
pub struct FoundBackup {
    /// When it was made, in milliseconds; absent: there is none.
    pub at: Option<i64>,
    pub messages: u64,
    pub contacts: u64,
    /// What a person should know first.
    pub words: Option<String>,
}

/// `DeviceRequest`.
#[derive(Debug, Deserialize)]
pub struct DeviceRequest {
    pub id: String,
    pub name: String,
    pub code: String,
}

/// `linking` of `State`.
#[derive(Debug, Deserialize)]
pub struct Linking {
    pub state: String,
    pub code: Option<String>,
    pub words: Option<String>,
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

    /// Ends something.
    pub async fn delete(&self, path: &str) -> Result<(), CallFailure> {
        self.call(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// Removes, and reads what came of it.
    pub async fn remove<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallFailure> {
        read(self.call(self.request(Method::DELETE, path)).await?).await
    }

    /// Sends a file as it is, whatever its size.
    pub async fn upload(&self, path: &str, file: &std::path::Path) -> Result<(), CallFailure> {
        let file = tokio::fs::File::open(file).await.map_err(Failure::from)?;
        let chunks = futures_util::stream::try_unfold(file, async |mut file| {
            let mut chunk = vec![0; UPLOAD_CHUNK_BYTES];
            let read = file.read(&mut chunk).await?;
            chunk.truncate(read);
            Ok::<_, std::io::Error>((read > 0).then_some((chunk, file)))
        });
        let body = reqwest::Body::wrap_stream(chunks);
        self.call(self.request(Method::PUT, path).body(body)).await.map(drop)
    }

    /// Removes in a certain way, and reads what came of it.
    pub async fn remove_with<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CallFailure> {
        read(self.call(self.request(Method::DELETE, path).json(body)).await?).await
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
