//! The profile's key: from the environment, the keyring, or whoever types.

use crate::failure::Failure;
use aside_client::profile::Profile;
use aside_client::unlock::{DatabaseKey, KeyCost, PASSPHRASE_VARIABLE, Prompt, Wanted, unlock};
use std::io::IsTerminal;
use zeroize::Zeroizing;

struct Terminal {
    asked_for_a_new_one: bool,
}

impl Prompt for Terminal {
    fn passphrase(&mut self, wanted: Wanted) -> std::io::Result<Option<Zeroizing<String>>> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Ok(None);
        }
        let question = match wanted {
            Wanted::Known => "Passphrase: ",
            Wanted::New if self.asked_for_a_new_one => "The same again: ",
            Wanted::New => "Choose a passphrase for this profile: ",
        };
        self.asked_for_a_new_one = wanted == Wanted::New;
        rpassword::prompt_password(question).map(Zeroizing::new).map(Some)
    }
}

/// Gets the key of a profile. Takes a moment: a passphrase is worth as much as a guess costs.
pub async fn key(mut profile: Profile) -> Result<(Profile, DatabaseKey), Failure> {
    let environment = std::env::var(PASSPHRASE_VARIABLE).ok().map(Zeroizing::new);
    let work = move || {
        let mut terminal = Terminal { asked_for_a_new_one: false };
        let key = unlock(&mut profile, environment, &mut terminal, KeyCost::DEFAULT)?;
        Ok((profile, key))
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::Stopped(error.to_string()))?
}
