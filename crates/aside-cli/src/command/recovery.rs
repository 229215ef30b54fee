//! `aside recovery`, `aside backup` and `aside restore`

use super::DELIVER;
use crate::api::{Api, CallFailure, FoundBackup, Raw, State};
use crate::cli::{Global, Lost, Recovery};
use crate::failure::Failure;
use crate::session::{Session, Settling, place, with_client};
use crate::terminal::{complain, line, print};
use serde_json::{Value, json};
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// The environment variable with the words, for scripts.
pub const PHRASE_VARIABLE: &str = "ASIDE_PHRASE";

/// Runs one of `aside recovery`.
pub async fn run(global: &Global, command: Recovery) -> Result<(), Failure> {
    match command {
        Recovery::Phrase => phrase(global).await,
        Recovery::Confirm => confirm(global).await,
        Recovery::Restore { address, server_link, lost } => {
            let body = json!({ "address": address, "server_link": server_link });
            restore(global, body, None, lost).await
        }
    }
}

async fn phrase(global: &Global) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> { session.api().get("/recovery/phrase").await };
    let raw = with_client(global, Settling::default(), call).await?;
    if global.json {
        return super::json(&raw);
    }
    let words = raw.get("words").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !std::io::stdout().is_terminal() {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
        return Ok(print(&words.join(" "))?);
    }
    for (index, row) in words.chunks(4).enumerate() {
        let row = row.iter().enumerate().map(|(place, word)| {
            let number = index * 4 + place + 1;
            format!("{number:>2}. {:<10}", word.as_str().unwrap_or_default())
        });
        print(row.collect::<String>().trim_end())?;
    }
    complain("write these words on paper; then `aside recovery confirm` erases them from this device");
    Ok(())
}

async fn confirm(global: &Global) -> Result<(), Failure> {
    let words = words()?;
    let words: Vec<&str> = words.split_whitespace().collect();
    let body = json!({ "words": words });
    let call =
        async |session: &Session| -> Result<Raw, CallFailure> { session.api().post("/recovery/confirm", &body).await };
    let raw = with_client(global, Settling::default(), call).await?;
    match global.json {
        true => super::json(&raw),
        false => Ok(print("confirmed: the words are erased from this device")?),
    }
}

/// `aside backup`, to the server without a file.
pub async fn back_up(global: &Global, file: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else {
        let call =
            async |session: &Session| -> Result<Raw, CallFailure> { session.api().post("/backups", &json!({})).await };
        let settling = Settling { before: DELIVER, after: Duration::ZERO };
        let raw = with_client(global, settling, call).await?;
        return match global.json {
            true => super::json(&raw),
            false => {
                let bytes = raw.get("bytes").and_then(Value::as_u64).unwrap_or_default();
                Ok(print(&format!("backed up: {bytes} bytes"))?)
            }
        };
    };
    let call = async |session: &Session| -> Result<u64, CallFailure> { Ok(download(session.api(), file).await?) };
    let bytes = with_client(global, Settling::default(), call).await?;
    match global.json {
        true => super::json(&json!({ "file": file.display().to_string(), "bytes": bytes })),
        false => Ok(print(&format!("{}: {bytes} bytes; the 24 words open it", file.display()))?),
    }
}

/// Writes the file beside its place first, so that an older one is not lost when the new one does not get to its end.
async fn download(api: &Api, file: &Path) -> Result<u64, Failure> {
    let call = api.open("/backups/file").await.map_err(|failure| match failure {
        CallFailure::NobodyThere => Failure::Gone,
        CallFailure::Other(failure) => failure,
    });
    let mut response = call?;
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = Path::new(&name);
    let mut out = std::fs::File::create(part).map_err(|error| named(file, error))?;
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(|_| Failure::Gone)? {
        out.write_all(&chunk)?;
        bytes += chunk.len() as u64;
    }
    out.sync_all()?;
    std::fs::rename(part, file)?;
    Ok(bytes)
}

/// Which file it was.
fn named(file: &Path, error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

/// `aside restore FILE`
pub async fn restore_file(global: &Global, file: &Path, lost: Lost) -> Result<(), Failure> {
    restore(global, json!({ "file_was_put": true }), Some(file), lost).await
}

async fn restore(global: &Global, mut body: Value, file: Option<&Path>, lost: Lost) -> Result<(), Failure> {
    if let Some(file) = file {
        // A mistyped name is said before anybody types 24 words.
        std::fs::File::open(file).map_err(|error| named(file, error))?;
    }
    let is_fresh = !place(global)?.exists();
    let phrase = words()?;
    let keep_devices = keeps(lost)?;
    if let Some(body) = body.as_object_mut() {
        body.insert("phrase".to_owned(), Value::String(phrase.to_string()));
        body.insert("keep_devices".to_owned(), Value::Bool(keep_devices));
    }
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let api = session.api();
        if let Some(file) = file {
            api.upload("/recovery/file", file).await?;
        }
        let found: FoundBackup = api.post("/recovery/look", &body).await?;
        complain(&found.description());
        if !is_wanted()? {
            api.delete("/recovery/restore").await?;
            let message = "Nothing was restored, and nothing of the account was changed.".to_owned();
            return Err(Failure::Refused { code: "not_wanted".to_owned(), message }.into());
        }
        api.post("/recovery/use", &json!({})).await
    };
    let raw: Raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let state: State = serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))?;
    let address = state.account.map(|account| account.address).unwrap_or_default();
    print(&line(&address))?;
    if is_fresh {
        complain("the account is back; its conversations go on when a member's device has let this one in again");
    }
    Ok(())
}

impl FoundBackup {
    /// In words; how old it is tells a person whether it can be the newest.
    fn description(&self) -> String {
        let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let held = format!("{} and {}", counted(self.messages, "message"), counted(self.contacts, "contact"));
        let what = self.at.map_or_else(String::new, |at| format!("the backup was made {}, with {held}. ", ago(at)));
        format!("{what}{}", self.words.as_deref().unwrap_or_default()).trim_end().to_owned()
    }
}

/// How long ago a time in milliseconds was.
fn ago(at: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let minutes = i64::try_from(now.as_millis()).unwrap_or(i64::MAX).saturating_sub(at) / 60_000;
    let (count, unit) = match minutes {
        ..1 => return "just now".to_owned(),
        1..120 => (minutes, "minute"),
        120..2_880 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Whether the backup is to be used. Where nobody can be asked, it is what the command said.
fn is_wanted() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("Bring the account back with it? [Y/n] ");
    Ok(!answer()?.starts_with('n'))
}

fn answer() -> Result<String, Failure> {
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_lowercase())
}

/// What becomes of the devices that the account had.
fn keeps(lost: Lost) -> Result<bool, Failure> {
    if lost.keep_devices || lost.revoke_devices || !std::io::stdin().is_terminal() {
        return Ok(lost.keep_devices);
    }
    eprint!("Remove the account's other devices, which somebody else may have? [Y/n] ");
    Ok(answer()?.starts_with('n'))
}

/// The words: from the environment, from whoever types (unseen), or from standard input.
fn words() -> Result<Zeroizing<String>, Failure> {
    if let Ok(words) = std::env::var(PHRASE_VARIABLE) {
        return Ok(Zeroizing::new(words));
    }
    if std::io::stdin().is_terminal() {
        return Ok(Zeroizing::new(rpassword::prompt_password("The 24 words: ")?));
    }
    let mut words = Zeroizing::new(String::new());
    std::io::stdin().read_to_string(&mut words)?;
    match words.trim().is_empty() {
        true => Err(Failure::Usage("give the 24 words on standard input, or in ASIDE_PHRASE")),
        false => Ok(words),
    }
}
