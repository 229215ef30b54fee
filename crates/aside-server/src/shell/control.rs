//! The server's end of the socket that the administrator's commands use: see [`crate::control`].

use super::core_thread::ToCore;
use super::{Shared, certificates};
use crate::control::{Answer, CONTROL_FILE};
use crate::log::{LogEvent, log};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

/// How long one command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The socket; its file goes with it.
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes the socket. Only one server runs on a directory, so that a file which is there was left by one that is gone.
pub(super) fn listen(dir: &std::path::Path) -> Option<Control> {
    let path = dir.join(CONTROL_FILE);
    let _ = std::fs::remove_file(&path);
    match UnixListener::bind(&path) {
        Ok(listener) => Some(Control { listener, path }),
        Err(_) => {
            log(LogEvent::ControlFailed);
            None
        }
    }
}

/// Answers commands one by one.
pub(super) async fn serve(control: Control, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            accepted = control.listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    let _ = tokio::time::timeout(COMMAND_TIMEOUT, answer(stream, &shared)).await;
                }
            }
        }
    }
}

async fn answer(mut stream: UnixStream, shared: &Arc<Shared>) {
    certificates::refresh(shared).await;
    let (tell, told) = oneshot::channel();
    if shared.to_core.send(ToCore::Refresh(tell)).await.is_err() {
        return;
    }
    let Ok(Some(totals)) = told.await else { return };
    let text = serde_json::to_string(&Answer::from(totals)).unwrap_or_default();
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
