//! The server's keys and certificates while it runs: renewed before they end, and read anew when they were changed.

use super::{RunError, Shared, now};
use crate::config::{Config, TlsMode};
use crate::hello::OnlineIdentity;
use crate::keys::{Seed, ServerDir, TLS_CERTIFICATE_FILE, TLS_KEY_FILE, WARN_DAYS};
use crate::log::{LogEvent, log};
use crate::tls;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// How often it is looked whether there is something to renew, or something new.
const LOOK_INTERVAL: Duration = Duration::from_secs(3_600);

/// What connections begin with.
pub(super) struct Certificates {
    pub(super) identity: OnlineIdentity,
    pub(super) tls: Option<TlsAcceptor>,
}

/// Renews what ends soon, as far as the identity key is here, and reads everything.
pub(super) fn load(dir: &ServerDir, config: &Config) -> Result<Certificates, RunError> {
    let today = now().day();
    let mut seed = Seed::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| std::io::Error::other("no randomness"))?;
    if dir.renew_if_due(&config.address, today, &seed)? {
        let days = dir.online_identity()?.certificate.expires_day.saturating_sub(today);
        log(LogEvent::CertificateRenewed { days });
    }
    let identity = dir.online_identity()?;
    let days = identity.certificate.expires_day.saturating_sub(today);
    if days == 0 {
        return Err(RunError::CertificateEnded(dir.path().to_owned()));
    }
    if days <= WARN_DAYS {
        log(LogEvent::CertificateEndsSoon { days });
    }
    let files = match &config.tls {
        TlsMode::Pinned => Some((dir.path().join(TLS_CERTIFICATE_FILE), dir.path().join(TLS_KEY_FILE))),
        TlsMode::Certificate { certificate, key } => Some((certificate.clone(), key.clone())),
        TlsMode::Plain => None,
    };
    let tls = match files {
        Some((certificate, key)) => Some(TlsAcceptor::from(Arc::new(tls::server_config(&certificate, &key)?))),
        None => None,
    };
    Ok(Certificates { identity, tls })
}

/// Reads everything anew. What cannot be read leaves the server with what it has.
pub(super) async fn refresh(shared: &Arc<Shared>) {
    let (dir, config) = (shared.dir.clone(), shared.config.clone());
    match tokio::task::spawn_blocking(move || load(&dir, &config)).await {
        Ok(Ok(certificates)) => shared.set_certificates(certificates),
        Ok(Err(_)) | Err(_) => log(LogEvent::CertificateFailed),
    }
}

/// Looks from time to time.
pub(super) async fn look_after(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    // The first is at once, and everything was read just now.
    looks.tick().await;
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = looks.tick() => refresh(&shared).await,
        }
    }
}
