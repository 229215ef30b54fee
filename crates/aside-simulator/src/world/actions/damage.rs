//! Damage to a device's own group state, while its program does not run: what a failing disk or a torn file leaves.

use super::World;

/// Tables that hold groups.
const TABLES: [&str; 3] = ["openmls_group_data", "openmls_own_leaf_nodes", "openmls_epoch_keys_pairs"];
/// Kinds of rows that a group cannot do without.
const KINDS: [&str; 6] =
    ["tree", "context", "message_secrets", "own_leaf_index", "group_epoch_secrets", "confirmation_tag"];

impl World {
    /// A device loses all its groups, or a row of each, and starts again some time later.
    pub(super) fn lose_groups(&mut self, who: usize) -> Option<()> {
        let sql = match self.dice.below(3) {
            0 => TABLES.map(|table| format!("DELETE FROM {table};")).concat(),
            1 => {
                let kind = KINDS.get(self.dice.below(KINDS.len()))?;
                format!("DELETE FROM openmls_group_data WHERE data_type = '{kind}'")
            }
            _ => {
                let kind = KINDS.get(self.dice.below(KINDS.len()))?;
                format!("UPDATE openmls_group_data SET group_data = x'ff' WHERE data_type = '{kind}'")
            }
        };
        let device = self.devices.get_mut(who)?;
        let broken = device.client.crash();
        let done = device.client.at_rest()?.execute_batch(&sql);
        let line = format!("{} loses group state: {sql}", device.name());
        if let Err(error) = done {
            self.blame(format!("the damage failed: {error}"));
        }
        self.ledger.damaged.insert(who);
        self.report.damages += 1;
        self.note(|| line);
        self.servers_lose(broken);
        Some(())
    }
}
