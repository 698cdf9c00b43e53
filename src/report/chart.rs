//! Geometry of the one chart: paid above the axis, refunded below, per month, stacked by platform.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::facts::MonthFlow;

/// A chart ready to be drawn; coordinates in the units of its view box.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Chart {
    /// Width of the view box.
    pub width: i64,
    /// Height of the view box.
    pub height: i64,
    /// Height of the zero line.
    pub zero_y: i64,
    /// Left end of the plot.
    pub left: i64,
    /// Platforms, in colour order.
    pub series: Vec<String>,
    /// Bars.
    pub bars: Vec<Bar>,
    /// Labels of the amount axis.
    pub y_ticks: Vec<Tick>,
    /// Labels of the months shown.
    pub x_ticks: Vec<Tick>,
}

/// One bar.
#[derive(Debug, Clone, Serialize)]
pub struct Bar {
    /// Left.
    pub x: i64,
    /// Top.
    pub y: i64,
    /// Width.
    pub width: i64,
    /// Height.
    pub height: i64,
    /// Index of the platform.
    pub series: usize,
    /// Refunded rather than paid.
    pub is_refund: bool,
    /// Month.
    pub month: String,
    /// Platform word.
    pub platform: String,
    /// Amount.
    pub amount_fen: i64,
}

/// A label on an axis.
#[derive(Debug, Clone, Serialize)]
pub struct Tick {
    /// Position along the axis.
    pub at: i64,
    /// Amount in fen for the amount axis, 0 otherwise.
    pub amount_fen: i64,
    /// Month for the time axis, empty otherwise.
    pub month: String,
}

const WIDTH: i64 = 720;
const HEIGHT: i64 = 300;
const LEFT: i64 = 92;
const TOP: i64 = 12;
const BOTTOM: i64 = 30;
/// Months shown; older ones stay in the table.
const MONTHS_MAX: usize = 36;

/// Lays the chart out; `None` when there is nothing to draw.
pub(super) fn chart(flows: &[MonthFlow]) -> Option<Chart> {
    let mut by_month: BTreeMap<&str, BTreeMap<&str, (i64, i64)>> = BTreeMap::new();
    for f in flows {
        let entry = by_month.entry(&f.month).or_default().entry(&f.platform).or_default();
        entry.0 = entry.0.saturating_add(f.paid_fen.max(0));
        entry.1 = entry.1.saturating_add(f.refunded_fen.max(0));
    }
    let skip = by_month.len().saturating_sub(MONTHS_MAX);
    let months: Vec<_> = by_month.into_iter().skip(skip).collect();
    let series: Vec<String> = months
        .iter()
        .flat_map(|(_, p)| p.keys().copied())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(Into::into)
        .collect();
    let sum = |pick: fn(&(i64, i64)) -> i64| {
        months.iter().map(|(_, p)| p.values().map(pick).map(i128::from).sum::<i128>()).max().unwrap_or(0)
    };
    let (up, down) = (sum(|v| v.0), sum(|v| v.1));
    if up + down == 0 {
        return None;
    }
    let step = nice((up.max(down) + 3) / 4);
    // A little room beyond the longest bars on both sides; ticks only where they fit.
    let (top, floor) = (up + up / 40, down + (down / 10).max(up / 40));
    let plot = i128::from(HEIGHT - TOP - BOTTOM);
    let scale = |v: i128| i64::try_from(v * plot / (top + floor).max(1)).unwrap_or(0);
    let zero_y = TOP + scale(top);
    let mut chart = Chart { width: WIDTH, height: HEIGHT, zero_y, left: LEFT, series, ..Chart::default() };
    for k in -(floor / step)..=(top / step) {
        let amount = i64::try_from((k * step).abs()).unwrap_or(i64::MAX);
        chart.y_ticks.push(Tick { at: zero_y - scale(k * step), amount_fen: amount, month: String::new() });
    }
    let slot = (WIDTH - LEFT - 4) / i64::try_from(months.len().max(1)).unwrap_or(1);
    let width = (slot * 7 / 10).clamp(2, 44);
    let every = months.len().div_ceil(8).max(1);
    for (i, (month, platforms)) in months.iter().enumerate() {
        let x = LEFT + slot * i64::try_from(i).unwrap_or(0) + (slot - width) / 2;
        // The latest month is always labelled; the others at even distances from it.
        if (months.len() - 1 - i).is_multiple_of(every) {
            chart.x_ticks.push(Tick { at: x + width / 2, amount_fen: 0, month: (*month).to_owned() });
        }
        let (mut above, mut below) = (0_i128, 0_i128);
        for (platform, (paid, refunded)) in platforms {
            let index = chart.series.iter().position(|s| s == platform).unwrap_or(0);
            for (amount, is_refund) in [(*paid, false), (*refunded, true)] {
                if amount == 0 {
                    continue;
                }
                let stacked = if is_refund { &mut below } else { &mut above };
                let from = scale(*stacked);
                *stacked += i128::from(amount);
                let to = scale(*stacked);
                chart.bars.push(Bar {
                    x,
                    y: if is_refund { zero_y + from } else { zero_y - to },
                    width,
                    height: (to - from).max(1),
                    series: index,
                    is_refund,
                    month: (*month).to_owned(),
                    platform: (*platform).to_owned(),
                    amount_fen: amount,
                });
            }
        }
    }
    Some(chart)
}

/// The next round step at or above: 1, 2 or 5 times a power of ten, at least one yuan.
fn nice(n: i128) -> i128 {
    let mut power = 100;
    loop {
        for factor in [1, 2, 5] {
            if power * factor >= n {
                return power * factor;
            }
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_and_amounts_survive() {
        let flows: Vec<MonthFlow> = (1..=12)
            .map(|m| MonthFlow {
                month: format!("2026-{m:02}"),
                platform: "wechat".into(),
                payments: 1,
                paid_fen: 1_234_567 * m,
                refunded_fen: 9_999 * m,
            })
            .collect();
        let chart = chart(&flows).unwrap();
        assert_eq!(
            chart.bars.iter().filter(|b| !b.is_refund).map(|b| b.amount_fen).sum::<i64>(),
            flows.iter().map(|f| f.paid_fen).sum::<i64>()
        );
        for bar in &chart.bars {
            assert!(bar.x >= LEFT && bar.x + bar.width <= WIDTH, "{bar:?}");
            assert!(bar.y >= TOP && bar.y + bar.height <= HEIGHT - BOTTOM + 1, "{bar:?}");
        }
        assert!(super::chart(&[]).is_none());
    }
}
