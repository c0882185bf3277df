//! The agent's own figures, as Prometheus sees them.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use ha_tests::Namespace;

use crate::contender::METRICS_PORT;

/// A histogram of seconds in a line: how many values, and below which bounds most of them are.
pub(crate) fn histogram(space: &Namespace, name: &str) -> String {
    let page = match space.run(scrape) {
        Ok(page) => page,
        Err(error) => return format!("no answer from the metrics endpoint: {error}"),
    };
    let name = format!("{name}_bucket");
    let lines = page.lines().filter(|line| line.starts_with(&name));
    let buckets: Vec<(f64, f64)> = lines.filter_map(bucket).collect();
    let Some(&(_, all)) = buckets.last() else { return "not among the metrics".to_owned() };
    let bound = |share: f64| {
        let found = buckets.iter().find(|(_, count)| *count >= all * share).map(|(bound, _)| bound * 1e3);
        found.map_or("-".to_owned(), |bound| format!("{bound} ms"))
    };
    format!(
        "{all} in all; half at most {}, 99 % {}, 99.9 % {}, all {}",
        bound(0.5),
        bound(0.99),
        bound(0.999),
        bound(1.0)
    )
}

/// `..._bucket{le="0.001"} 17`
fn bucket(line: &str) -> Option<(f64, f64)> {
    let bound = line.split("le=\"").nth(1)?.split('"').next()?;
    let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
    Some((bound, line.rsplit(' ').next()?.parse().ok()?))
}

fn scrape() -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, METRICS_PORT))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_read_with_its_bound() {
        assert_eq!(bucket("x_bucket{otel_scope=\"a\",le=\"0.001\"} 17"), Some((0.001, 17.0)));
        assert_eq!(bucket("x_bucket{le=\"+Inf\"} 20"), Some((f64::INFINITY, 20.0)));
        assert_eq!(bucket("x_sum 20"), None);
    }
}
