//! When orders happen: by day of the year, weekday and hour.

use super::local::{AS_OF, DAY, Local, OPENED};
use super::prng::Prng;

/// Orders per hour of day: shops open at seven, peaks at noon and after work.
const HOURS: [u64; 24] = [0, 0, 0, 0, 0, 0, 0, 12, 30, 45, 55, 70, 80, 55, 45, 50, 60, 85, 110, 105, 80, 45, 18, 0];
/// Orders per month of the year: fruit sells in summer and before the new year.
const MONTHS: [i64; 12] = [118, 112, 86, 88, 96, 108, 122, 120, 116, 104, 92, 98];
/// Orders per weekday, Monday first.
const WEEKDAYS: [i64; 7] = [90, 88, 90, 94, 106, 122, 116];

/// Number of orders on every day from the opening to the day before the data is judged; sums to `orders`.
pub(super) fn days(orders: u64) -> Vec<(Local, u64)> {
    let days: Vec<Local> = (0..(AS_OF.0 - OPENED.0) / DAY).map(|d| OPENED.plus(d * DAY)).collect();
    let weights: Vec<i64> = days
        .iter()
        .enumerate()
        .map(|(i, day)| {
            let (_, month, _) = day.civil();
            // The chain grows by a half in eighteen months.
            MONTHS[month as usize - 1] * WEEKDAYS[day.weekday()] * (1_000 + i as i64)
        })
        .collect();
    let total: i64 = weights.iter().sum();
    let share = |sum: i64| (u128::from(orders) * sum as u128 / total as u128) as u64;
    let mut sum = 0;
    days.into_iter()
        .zip(weights)
        .map(|(day, weight)| {
            let before = share(sum);
            sum += weight;
            (day, share(sum) - before)
        })
        .collect()
}

/// Times of a day's orders, in order.
pub(super) fn times(day: Local, count: u64, rng: &mut Prng) -> Vec<Local> {
    let mut times: Vec<Local> =
        (0..count).map(|_| day.plus(rng.weighted(&HOURS) as i64 * 3_600 + rng.range(0, 3_600))).collect();
    times.sort_unstable();
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order lies on some day, and even a small sample has enough of them in the window.
    #[test]
    fn all_orders_are_dealt_out() {
        for orders in [1_000, 50_000, 1_000_000] {
            let days = days(orders);
            assert_eq!(days.iter().map(|d| d.1).sum::<u64>(), orders);
            let window: u64 = days.iter().filter(|d| d.0 >= super::super::local::WINDOW).map(|d| d.1).sum();
            assert!(window * 5 > orders && window * 3 < orders, "{window}");
        }
    }
}
