//! What goes wrong: programs and servers crash, connections break at any frame, and some are away for days.

use super::World;
use crate::client::Crash;
use aside_engine::input::{Input, Link};
use aside_server::core::Input as ServerInput;

const DAY_MS: i64 = 86_400_000;
/// Steps for each device between one leap in time and the next.
const STEPS_A_LEAP: usize = 25;
/// Ticks after which a server has expired whatever a day expires.
const SWEEPS: usize = 4;

impl World {
    pub(super) fn trouble(&mut self, who: usize) {
        match self.dice.below(6) {
            0 => {
                let number = self.dice.below(self.sites.len());
                self.report.crashes += 1;
                self.note(|| format!("server {number} crashes"));
                self.crash_server(number);
            }
            1 => self.crash_device(who),
            _ => self.break_wire(who),
        }
    }

    fn crash_device(&mut self, who: usize) {
        let Some(device) = self.devices.get_mut(who).filter(|device| device.client.is_running()) else { return };
        let broken = device.client.crash();
        let line = format!("{} crashes", device.name());
        self.report.crashes += 1;
        self.note(|| line);
        self.servers_lose(broken);
    }

    fn break_wire(&mut self, who: usize) {
        let links = self.links_of(who);
        let Some(link) = links.get(self.dice.below(links.len())).copied() else { return };
        let now = self.engine_now();
        let Some(device) = self.devices.get_mut(who) else { return };
        let Some(wire) = device.client.wires.remove(&link) else { return };
        let line = format!("{}'s {:?} connection breaks", device.name(), link.kind);
        self.report.breaks += 1;
        self.note(|| line);
        self.servers_lose(vec![wire]);
        self.handle_until(who, now, Input::Disconnected { link }, Crash::Never);
    }

    pub(super) fn crash_server(&mut self, number: usize) {
        let Some(site) = self.sites.get_mut(number) else { return };
        site.server.crash();
        site.unnoticed.clear();
        let now = self.engine_now();
        for who in 0..self.devices.len() {
            let Some(device) = self.devices.get_mut(who) else { continue };
            let wires = device.client.wires.iter().filter(|(_, wire)| wire.site == number);
            let links: Vec<Link> = wires.map(|(link, _)| *link).collect();
            for link in links {
                if let Some(device) = self.devices.get_mut(who) {
                    device.client.wires.remove(&link);
                }
                self.handle_until(who, now, Input::Disconnected { link }, Crash::Never);
            }
        }
    }

    /// Before each chapter but the first somebody is switched off, and perhaps a server.
    pub(super) fn begin_absences(&mut self, chapter: usize) {
        if chapter == 0 {
            return;
        }
        for _ in 0..=self.dice.below(2) {
            let who = self.dice.below(self.devices.len());
            let is_last = self.devices.iter().filter(|device| !device.is_away).count() <= 1;
            let Some(device) = self.devices.get_mut(who).filter(|device| !device.is_away && !is_last) else { continue };
            device.is_away = true;
            let broken = device.client.crash();
            let line = format!("{} is away", device.name());
            self.report.absences += 1;
            self.note(|| line);
            self.servers_lose(broken);
        }
        if self.plan.has_outage {
            let number = self.dice.below(self.sites.len());
            self.note(|| format!("server {number} is down for long"));
            self.report.absences += 1;
            self.crash_server(number);
            if let Some(site) = self.sites.get_mut(number) {
                site.is_held_down = true;
            }
        }
    }

    /// Days pass while somebody is away; then everybody is there again.
    pub(super) fn end_absences(&mut self) {
        let is_anybody_away = self.devices.iter().any(|device| device.is_away);
        if is_anybody_away {
            for _ in 0..=self.dice.below(2) {
                let days = 1 + self.dice.below(self.plan.away_days_max);
                self.leap(days);
                for _ in 0..STEPS_A_LEAP * self.devices.len() {
                    self.step();
                }
            }
        }
        for device in &mut self.devices {
            device.is_away = false;
        }
        for site in &mut self.sites {
            site.is_held_down = false;
        }
    }

    /// Days pass, and servers forget what has expired.
    fn leap(&mut self, days: usize) {
        self.note(|| format!("{days} days pass"));
        self.now_ms = self.now_ms.saturating_add(i64::try_from(days).unwrap_or(0).saturating_mul(DAY_MS));
        for number in 0..self.sites.len() {
            for _ in 0..SWEEPS {
                self.serve_batch(number, vec![ServerInput::Tick]);
            }
        }
    }
}
