//! `aside app`

use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, place};
use crate::{browser, signals, terminal};
use aside_client::profile::Stay;

/// What to do with the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Print it.
    Address,
    /// Print it, and open the browser.
    Window,
}

/// Runs the client until it is stopped, or shows the one that runs already.
pub async fn run(global: &Global, show: Show) -> Result<(), Failure> {
    match Session::open(global, Stay::UntilStopped).await? {
        Session::Attached { .. } => match place(global)?.running()? {
            Some(running) => present(&running.address_to_open(), show),
            None => Err(Failure::Gone),
        },
        Session::Own(_, client) => {
            present(&client.running().address_to_open(), show)?;
            tokio::select! {
                () = client.stopped() => {}
                () = signals::asked_to_stop() => {}
            }
            client.stop().await.map_err(|error| Failure::Stopped(error.to_string()))
        }
    }
}

fn present(address: &str, show: Show) -> Result<(), Failure> {
    terminal::print(address)?;
    if show == Show::Window && !browser::open(address) {
        terminal::complain("no browser was found: open the address above in one");
    }
    Ok(())
}
