//! `aside device link | accept LINK | requests | approve | decline | list | rename | revoke`

use super::{CATCH_UP, DELIVER};
use crate::api::{Api, CallFailure, Device, DeviceLink, DeviceRequest, Raw, State};
use crate::cli::{Global, HistoryLength, OfDevices};
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::io::{BufRead, IsTerminal};
use std::time::Duration;

/// Between two looks at what another device does.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a request is waited for that may be on its way.
const REQUEST_LOOKS: usize = 30;
/// What a command does for the new device before it ends: keys, conversations, history.
const HAND_OVER: Duration = Duration::from_secs(45);

/// Runs one of them.
pub async fn run(global: &Global, command: OfDevices) -> Result<(), Failure> {
    match command {
        OfDevices::Link { wait } => {
            let waits = wait || (std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !global.json);
            if waits { link_and_wait(global).await } else { link(global).await }
        }
        OfDevices::Accept { link, name } => accept(global, &link, name).await,
        OfDevices::Requests => requests(global).await,
        OfDevices::Approve { id, code, history } => approve(global, id.as_deref(), code.as_deref(), history).await,
        OfDevices::Decline { id } => decline(global, id.as_deref()).await,
        OfDevices::List => list(global).await,
        OfDevices::Rename { id, name } => rename(global, &id, &name).await,
        OfDevices::Revoke { id, phrase } => revoke(global, &id, phrase).await,
    }
}

/// Prints a link, and nothing else, when it works.
async fn link(global: &Global) -> Result<(), Failure> {
    let call =
        async |session: &Session| -> Result<Raw, CallFailure> { session.api().post("/devices/link", &json!({})).await };
    let raw = with_client(global, Settling::default(), call).await?;
    if global.json {
        return super::json(&raw);
    }
    Ok(terminal::print(&read::<DeviceLink>(raw)?.link)?)
}

/// Prints a link, waits for the device that uses it, and asks.
async fn link_and_wait(global: &Global) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: HAND_OVER };
    let call = async |session: &Session| -> Result<(), CallFailure> {
        let api = session.api();
        let link: DeviceLink = api.post("/devices/link", &json!({})).await?;
        terminal::print(&link.link).map_err(Failure::from)?;
        terminal::complain("open this link on the new device; it works once, for ten minutes");
        let request = loop {
            let waiting: Vec<DeviceRequest> = api.get("/devices/requests").await?;
            match waiting.into_iter().next() {
                Some(request) => break request,
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        terminal::complain(&format!("“{}” asks to be linked. It must show this code: {}", request.name, request.code));
        terminal::complain("does it? Type yes to let it in");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(Failure::from)?;
        let accept = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        tell(api, &request.id, &json!({ "accept": accept, "history": "all" })).await?;
        match accept {
            true => handed_over(api, &request.id).await,
            false => Err(refused("declined", "The device was declined.").into()),
        }
    };
    with_client(global, settling, call).await
}

/// Makes this profile a device; returns when it is one. The code to compare goes to standard error.
async fn accept(global: &Global, link: &str, name: Option<String>) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let body = json!({ "link": link, "name": name.unwrap_or_else(|| "Another device".to_owned()) });
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let mut raw: Raw = session.api().post("/devices/accept", &body).await?;
        let mut is_shown = false;
        loop {
            let state: State = read(raw.clone())?;
            let Some(linking) = state.linking else { return Ok(raw) };
            if linking.state == "failed" {
                return Err(refused("not_linked", &linking.words.unwrap_or_default()).into());
            }
            if let (Some(code), false) = (&linking.code, is_shown) {
                terminal::complain(&format!("compare this code with the other device's, and approve there: {code}"));
                is_shown = true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            raw = session.api().get("/state").await?;
        }
    };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let state: State = read(raw)?;
    Ok(terminal::print(&terminal::line(&state.account.map(|account| account.address).unwrap_or_default()))?)
}

async fn requests(global: &Global) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: Duration::ZERO };
    let call = async |session: &Session| -> Result<Raw, CallFailure> { session.api().get("/devices/requests").await };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    for DeviceRequest { id, name, code } in read::<Vec<DeviceRequest>>(raw)? {
        terminal::print(&format!("{id}  code {code}  {}", terminal::line(&name)))?;
    }
    Ok(())
}

async fn tell(api: &Api, id: &str, body: &Raw) -> Result<(), CallFailure> {
    api.tell(&format!("/devices/requests/{id}"), body).await
}

/// The request that is meant: the one of this id, or the only one. It may be on its way yet.
async fn request(api: &Api, id: Option<&str>) -> Result<DeviceRequest, CallFailure> {
    for _ in 0..REQUEST_LOOKS {
        let waiting: Vec<DeviceRequest> = api.get("/devices/requests").await?;
        let mut meant = waiting.into_iter().filter(|request| id.is_none_or(|id| request.id.starts_with(id)));
        match (meant.next(), meant.next()) {
            (Some(request), None) => return Ok(request),
            (Some(_), Some(_)) => {
                let words = "Several devices ask to be linked: name one by its id (`aside device requests`).";
                return Err(refused("several_requests", words).into());
            }
            (None, _) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
    Err(refused("no_request", "No such device asks to be linked.").into())
}

/// Waits until the home server knows the device, so that what follows can begin.
async fn handed_over(api: &Api, id: &str) -> Result<(), CallFailure> {
    let devices: Vec<Device> = api.get("/devices").await?;
    match devices.iter().any(|device| device.id == id) {
        true => Ok(()),
        false => Err(refused("not_linked", "The server did not take the device.").into()),
    }
}

async fn approve(global: &Global, id: Option<&str>, code: Option<&str>, history: HistoryLength) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: HAND_OVER };
    let call = async |session: &Session| -> Result<String, CallFailure> {
        let request = request(session.api(), id).await?;
        if code.is_some_and(|code| code.trim() != request.code) {
            return Err(refused("other_code", "The codes differ: this is not your device. It was not let in.").into());
        }
        tell(session.api(), &request.id, &json!({ "accept": true, "history": history.word() })).await?;
        handed_over(session.api(), &request.id).await?;
        Ok(request.id)
    };
    let id = with_client(global, settling, call).await?;
    Ok(terminal::print(&id)?)
}

async fn decline(global: &Global, id: Option<&str>) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: DELIVER };
    let call = async |session: &Session| -> Result<(), CallFailure> {
        let request = request(session.api(), id).await?;
        tell(session.api(), &request.id, &json!({ "accept": false })).await
    };
    with_client(global, settling, call).await
}

async fn list(global: &Global) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: Duration::ZERO };
    let call = async |session: &Session| -> Result<Raw, CallFailure> { session.api().get("/devices").await };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    for Device { id, name, is_this, revoked_at } in read::<Vec<Device>>(raw)? {
        let note = match (is_this, revoked_at) {
            (true, Some(_)) => "  this device, revoked",
            (false, Some(_)) => "  revoked",
            (true, None) => "  this device",
            (false, None) => "",
        };
        terminal::print(&format!("{id}  {}{note}", terminal::line(&name)))?;
    }
    Ok(())
}

/// The device that an id, the beginning of one, or a name means.
async fn device(api: &Api, meant: &str) -> Result<Device, CallFailure> {
    let devices: Vec<Device> = api.get("/devices").await?;
    let mut found =
        devices.into_iter().filter(|device| device.id == meant || device.id.starts_with(meant) || device.name == meant);
    match (found.next(), found.next()) {
        (Some(device), None) => Ok(device),
        (Some(_), Some(_)) => Err(refused("several_devices", "Several devices are meant: give the whole id.").into()),
        (None, _) => Err(refused("unknown_device", "There is no such device (`aside device list`).").into()),
    }
}

async fn rename(global: &Global, meant: &str, name: &str) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let device = device(session.api(), meant).await?;
        session.api().put(&format!("/devices/{}", device.id), &json!({ "name": name })).await
    };
    let raw = with_client(global, settling, call).await?;
    if global.json { super::json(&raw) } else { Ok(()) }
}

async fn revoke(global: &Global, meant: &str, asks_for_phrase: bool) -> Result<(), Failure> {
    let mut body = json!({});
    if asks_for_phrase {
        terminal::complain("type the 24 words of your recovery phrase");
        let mut phrase = String::new();
        std::io::stdin().lock().read_line(&mut phrase)?;
        body = json!({ "phrase": phrase.trim() });
    }
    let settling = Settling { before: CATCH_UP, after: DELIVER };
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let device = device(session.api(), meant).await?;
        session.api().remove_with(&format!("/devices/{}", device.id), &body).await
    };
    let raw = with_client(global, settling, call).await?;
    if global.json { super::json(&raw) } else { Ok(()) }
}

fn refused(code: &str, message: &str) -> Failure {
    Failure::Refused { code: code.to_owned(), message: message.to_owned() }
}

fn read<T: DeserializeOwned>(raw: Raw) -> Result<T, Failure> {
    serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))
}
