//! The one plain line that says what is gone: how many messages of whom, and of which days. When something of it turns up
//! after all, the line changes, or goes.

use super::count;
use super::gap::{self, Gap, Missing};
use crate::channel::Channel;
use crate::content::MessageId;
use crate::context::Context;
use crate::error::EngineError;
use crate::input::Change;
use crate::timeline;
use rusqlite::params;

/// Writes or rewrites the line about these gaps of one channel.
pub(super) fn write(context: &mut Context<'_>, row: &Channel, gaps: &[Gap]) -> Result<(), EngineError> {
    let ids: Vec<i64> = gaps.iter().map(|gap| gap.id).collect();
    let missing = gap::missing(context.db, &ids)?;
    let words = match missing.is_empty() {
        true => {
            let since = gaps.iter().map(|gap| gap.since_ms).min().unwrap_or_default();
            let last: Option<i64> = context
                .db
                .prepare_cached("SELECT MAX(sent_ms) FROM messages WHERE conversation = ? AND position < ?")?
                .query_row(
                    params![row.conversation, gaps.iter().map(|gap| gap.position).min().unwrap_or_default()],
                    |row| row.get(0),
                )?;
            let span = days(last.unwrap_or(since).min(since), since);
            format!("What was said here {span} and did not reach this device could not be recovered.")
        }
        false => sentence(&missing),
    };
    let told = gaps.first().and_then(|gap| gap.line);
    let line = match told {
        // Part of it has turned up since.
        Some(line) if gaps.iter().all(|gap| gap.line == Some(line)) => {
            timeline::reword(context, &line, &words)?;
            Some(line)
        }
        _ => {
            count::add(context, count::Heal::Gone)?;
            timeline::gone(context, row.conversation, &words)?
        }
    };
    for gap in gaps {
        gap::set_line(context, gap.id, line)?;
        gap::asked(context, gap.id, None)?;
    }
    Ok(())
}

/// What had been missing is here: its line goes, unless it speaks of more.
pub(super) fn strike(context: &mut Context<'_>, gap: &Gap) -> Result<(), EngineError> {
    let Some(line) = gap.line else { return Ok(()) };
    let speaks_of_more =
        context.db.prepare_cached("SELECT 1 FROM gaps WHERE line = ? AND id <> ?")?.exists(params![line, gap.id])?;
    if !speaks_of_more {
        remove(context, &line)?;
    }
    Ok(())
}

fn remove(context: &mut Context<'_>, line: &MessageId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM messages WHERE id = ?")?.execute(params![line])?;
    context.changed(Change::Message(*line));
    Ok(())
}

/// `3 messages of bob and 1 of carol, between 2026-01-03 and 2026-01-05, could not be recovered.`
fn sentence(missing: &[Missing]) -> String {
    let count = |missing: &Missing, is_first: bool| {
        let name = missing.author.split('@').next().unwrap_or_default();
        match (is_first, missing.count) {
            (true, 1) => format!("1 message of {name}"),
            (true, more) => format!("{more} messages of {name}"),
            (false, more) => format!("{more} of {name}"),
        }
    };
    let mut parts: Vec<String> = missing.iter().enumerate().map(|(n, one)| count(one, n == 0)).collect();
    let last = parts.pop().unwrap_or_default();
    let who = if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) };
    let first_ms = missing.iter().map(|one| one.first_ms).min().unwrap_or_default();
    let last_ms = missing.iter().map(|one| one.last_ms).max().unwrap_or_default();
    format!("{who}, {}, could not be recovered.", days(first_ms, last_ms))
}

fn days(first_ms: i64, last_ms: i64) -> String {
    let (first, last) = (date(first_ms), date(last_ms));
    match first == last {
        true => format!("on {first}"),
        false => format!("between {first} and {last}"),
    }
}

/// A day as ISO 8601 writes it, UTC. The civil calendar from days, by era of 400 years.
fn date(unix_ms: i64) -> String {
    let days = unix_ms.div_euclid(86_400_000).saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era.saturating_mul(400) + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_calendars_write_them() {
        for (ms, day) in [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (1_767_225_600_000, "2026-01-01"),
            (1_772_323_199_999, "2026-02-28"),
            (4_107_542_400_000, "2100-03-01"),
        ] {
            assert_eq!(date(ms), day);
        }
    }

    #[test]
    fn one_line_says_how_many_of_whom_and_of_which_days() {
        let of = |author: &str, count, first_ms, last_ms| Missing { author: author.into(), count, first_ms, last_ms };
        let day = 86_400_000;
        assert_eq!(sentence(&[of("bob@x", 1, 0, 0)]), "1 message of bob, on 1970-01-01, could not be recovered.");
        assert_eq!(
            sentence(&[of("bob@x", 3, 0, day), of("carol@x", 1, 2 * day, 2 * day)]),
            "3 messages of bob and 1 of carol, between 1970-01-01 and 1970-01-03, could not be recovered."
        );
    }
}
