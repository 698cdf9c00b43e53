//! How hard a seal may press on its sources: rows a second, connections, and a time of day by which it must be over.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use crate::ops::{Env, Error};

/// What the user allows a seal; the default is any number of rows at any time over few connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Rows a second taken from all sources together.
    pub rows_per_second_max: Option<u64>,
    /// Local time of the case at which the seal gives up, so that the day's work is not disturbed.
    pub until: Option<NaiveTime>,
    /// Connections to one server at a time; [`CONNECTIONS_DEFAULT`] when not given.
    pub connections_max: Option<u16>,
}

/// Connections to one server when the user says nothing: one that holds the snapshot and one that reads.
pub const CONNECTIONS_DEFAULT: u16 = 2;

impl Limits {
    /// Connections to one server at a time, at least one.
    pub fn connections(&self) -> usize {
        self.connections_max.unwrap_or(CONNECTIONS_DEFAULT).max(1).into()
    }
}

/// Holds a running seal to its limits. Shared by the threads that take rows.
pub(in crate::ops) struct Pace {
    rate: Option<u64>,
    deadline: Option<DateTime<Utc>>,
    started: Mutex<Option<(Instant, u64)>>,
    env: Env,
}

impl Pace {
    /// Begins to count; the deadline is the next time the clock of this zone shows it.
    pub(in crate::ops) fn new(env: &Env, zone: Tz, limits: Limits) -> Self {
        let deadline = limits.until.map(|time| next(env.clock.now(), zone, time));
        Self { rate: limits.rows_per_second_max, deadline, started: Mutex::new(None), env: env.clone() }
    }

    /// Accounts for rows that were taken, and waits as long as they came too early. Blocks.
    ///
    /// # Errors
    /// [`Error::Deadline`] once the time is over, [`Error::Interrupted`].
    pub(in crate::ops) fn take(&self, rows: usize) -> Result<(), Error> {
        self.check()?;
        let Some(rate) = self.rate else { return Ok(()) };
        let wait = {
            let mut started = self.started.lock().map_err(|_| Error::Worker { doing: "pacing the extraction" })?;
            let (since, total) = started.get_or_insert((Instant::now(), 0));
            *total += rows as u64;
            Duration::from_secs_f64(*total as f64 / rate.max(1) as f64).saturating_sub(since.elapsed())
        };
        let end = Instant::now() + wait;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.check()?;
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        self.env.cancel.check()?;
        match self.deadline {
            Some(deadline) if self.env.clock.now() >= deadline => Err(Error::Deadline { at: deadline }),
            _ => Ok(()),
        }
    }
}

/// The first instant after `now` at which the clocks of a zone show a time.
fn next(now: DateTime<Utc>, zone: Tz, time: NaiveTime) -> DateTime<Utc> {
    let today = now.with_timezone(&zone).date_naive();
    (0..3)
        .filter_map(|days| zone.from_local_datetime(&(today + TimeDelta::days(days)).and_time(time)).earliest())
        .map(|at| at.with_timezone(&Utc))
        .find(|at| *at > now)
        .unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six o'clock is today's while it lies ahead, else tomorrow's.
    #[test]
    fn the_next_six_o_clock() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let six = NaiveTime::from_hms_opt(6, 0, 0).unwrap();
        let zone = chrono_tz::Asia::Shanghai;
        assert_eq!(next(at("2026-11-01T21:00:00Z"), zone, six), at("2026-11-01T22:00:00Z"));
        assert_eq!(next(at("2026-11-01T22:00:00Z"), zone, six), at("2026-11-02T22:00:00Z"));
    }
}
