//! Node death against RFC 9568: the backup takes over Active_Down_Interval after the last advert that it saw.

use std::time::Duration;

use crate::{
    contender::Contender,
    options::{Fault, FormulaOptions, interval_of},
    pair::{PRIORITIES, Pair},
    statistics::{Distribution, milliseconds},
    table::{Cell, Report, Table, progress},
};

pub(crate) fn run(options: &FormulaOptions, report: &mut Report) {
    for &millis in &options.intervals {
        let interval = interval_of(millis);
        let formula = active_down_interval(interval, PRIORITIES[1]);
        let mut table = Table::new(
            format!(
                "Takeover less Active_Down_Interval ({:.3} ms), {millis} ms adverts, {} node deaths each; ms",
                milliseconds(formula),
                options.runs
            ),
            &["contender", "min", "p5", "median", "p95", "max", "within 1 ms", "within 3 ms", "of"],
        );
        // In turn, so that both meet the same load of the machine.
        let errors = measure(&options.contenders, interval, options.runs);
        for (contender, errors) in options.contenders.iter().zip(errors) {
            add(&mut table, *contender, &errors);
        }
        table.note("from the last advert of the dead node to the first of the backup, kernel stamps on the backup's link");
        report.add(&table);
    }
}

/// 3 × Active_Adver_Interval + Skew_Time (RFC 9568 section 6.1), not computed by the code under test.
fn active_down_interval(interval: Duration, priority: u8) -> Duration {
    interval * 3 + interval * (256 - u32::from(priority)) / 256
}

fn measure(contenders: &[Contender], interval: Duration, runs: usize) -> Vec<Distribution> {
    let formula = milliseconds(active_down_interval(interval, PRIORITIES[1]));
    let mut pairs: Vec<Pair> = contenders.iter().map(|contender| Pair::new(*contender, interval)).collect();
    let mut errors = vec![Vec::with_capacity(runs); pairs.len()];
    for run in 0..runs {
        if run % 10 == 0 {
            progress(&format!("{} ms, node death {run} of {runs}", interval.as_millis()));
        }
        for (pair, errors) in pairs.iter_mut().zip(&mut errors) {
            pair.settle();
            pair.inflict(Fault::NodeDeath);
            errors.push(milliseconds(pair.wait_for_takeover().duration()) - formula);
            // The other contender's turn is not disturbed by this one.
            pair.clear_away_both();
        }
    }
    errors.into_iter().map(Distribution::new).collect()
}

fn add(table: &mut Table, contender: Contender, errors: &Distribution) {
    let numbers =
        [errors.min(), errors.percentile(5.0), errors.median(), errors.percentile(95.0), errors.max()];
    let mut cells = vec![contender.name().into()];
    cells.extend(numbers.map(|number| Cell::Number(number, 3)));
    cells.extend([errors.within(1.0).into(), errors.within(3.0).into(), errors.samples().len().into()]);
    table.row(cells);
    table.samples(contender.name(), errors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_keeps_the_skew_of_ten_milliseconds() {
        let interval = active_down_interval(Duration::from_millis(10), 100);
        assert_eq!(interval, Duration::from_nanos(36_093_750));
    }
}
