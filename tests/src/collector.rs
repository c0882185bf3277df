//! An OpenTelemetry collector that someone else wrote: PyPI's rotel, and what it says that it received.
//!
//! rotel prints each data point, span and log record as text; here that text becomes items to be asked.

use std::{collections::BTreeMap, process::Command, time::Duration};

use crate::{Namespace, Process, Scratch, programs::rotel_binary, wait_until};

/// A running rotel, listening for OTLP on the loopback of its namespace.
#[derive(Debug)]
pub struct Collector {
    /// Its process.
    pub process: Process,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// One data point of a metric; its fields are those of the metric (`Unit`, `DataType`, `IsMonotonic`) and its own
    /// (`Value`, `Count`, `Sum`).
    Point,
    /// One span (`Trace ID`, `Parent ID`, `ID`, `Start time`, `End time`, `Status code`).
    Span,
    /// One log record (`SeverityText`, `Body`, `Trace ID`, `Span ID`).
    Record,
}

/// One data point, span or log record, all values as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub signal: Signal,
    /// Name of the metric, of the span, of the event.
    pub name: String,
    /// What rotel prints beside the attributes.
    pub fields: BTreeMap<String, String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Attributes of the resource that sent it.
    pub resource: BTreeMap<String, String>,
}

/// All that the collector has received so far, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received(pub Vec<Item>);

impl Collector {
    /// Where agents in the namespace send by OTLP over gRPC.
    pub const ENDPOINT: &str = "http://127.0.0.1:14317";

    /// Starts rotel inside `space` and waits until it listens.
    #[track_caller]
    pub fn start(space: &Namespace, scratch: &Scratch) -> Self {
        let mut command = Command::new(rotel_binary());
        command.args(["start", "--otlp-grpc-endpoint", "127.0.0.1:14317"]);
        command.args(["--otlp-http-endpoint", "127.0.0.1:14318", "--exporter", "blackhole"]);
        command.args(["--debug-log", "traces", "--debug-log", "metrics", "--debug-log", "logs"]);
        command.args(["--debug-log-verbosity", "detailed", "--log-format", "json"]);
        let mut process = Process::start(space, "rotel", command, &scratch.file("rotel.log"));
        let listens = || space.run(|| std::net::TcpStream::connect("127.0.0.1:14317").is_ok());
        let ready = wait_until(Duration::from_secs(20), || listens() || !process.is_running());
        assert!(ready && process.is_running(), "rotel does not listen; it said:\n{}", process.log());
        Self { process }
    }

    /// What it has received so far.
    pub fn received(&self) -> Received {
        Received::parse(&self.process.log())
    }

    /// Waits until it has received what `is_complete` asks for; panics naming `what`.
    #[track_caller]
    pub fn wait_for(&self, what: &str, bound: Duration, is_complete: impl Fn(&Received) -> bool) -> Received {
        let find = || Some(self.received()).filter(|received| is_complete(received));
        crate::wait_some(&format!("{what} at the collector"), bound, find)
    }
}

impl Received {
    /// Reads what rotel printed; its own log lines are JSON and are passed over.
    pub fn parse(log: &str) -> Self {
        let mut reader = Reader::default();
        log.lines().filter(|line| !line.starts_with('{')).for_each(|line| reader.read(line));
        reader.finish();
        Self(reader.items)
    }

    /// Everything of this signal and name, oldest first.
    pub fn all(&self, signal: Signal, name: &str) -> Vec<&Item> {
        self.0.iter().filter(|item| item.signal == signal && item.name == name).collect()
    }

    /// The newest data point of a metric with these attributes among its own.
    pub fn latest(&self, name: &str, attributes: &[(&str, &str)]) -> Option<&Item> {
        let fits = |item: &&&Item| attributes.iter().all(|(key, value)| item.attribute(key) == *value);
        self.all(Signal::Point, name).iter().rev().find(fits).copied()
    }

    /// The number in a field of [`Received::latest`]; NaN, which equals nothing, when there is none.
    pub fn number(&self, name: &str, attributes: &[(&str, &str)], field: &str) -> f64 {
        let text = self.latest(name, attributes).map(|item| item.field(field));
        text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    }
}

impl Item {
    /// A field; empty when there is none.
    pub fn field(&self, key: &str) -> &str {
        self.fields.get(key).map_or("", String::as_str)
    }

    /// An attribute; empty when there is none.
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

/// Which attributes the lines `-> key: value` belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Resource,
    Metric,
    Item,
}

#[derive(Debug, Default)]
struct Reader {
    part: Part,
    resource: BTreeMap<String, String>,
    metric: BTreeMap<String, String>,
    item: Option<Item>,
    items: Vec<Item>,
}

impl Reader {
    fn read(&mut self, line: &str) {
        let title =
            line.split_once(" #").filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some((title, _)) = title {
            return self.begin(title);
        }
        let (text, is_attribute) = match line.trim().strip_prefix("-> ") {
            Some(text) => (text, true),
            None => (line, false),
        };
        let Some((key, value)) = text.split_once(':') else { return };
        let (key, value) = (key.trim().to_owned(), value.trim());
        match (self.part, &mut self.item) {
            (Part::Resource, _) if is_attribute => drop(self.resource.insert(key, plain(value))),
            (Part::Metric, _) if is_attribute => drop(self.metric.insert(key, value.to_owned())),
            (Part::Item, Some(item)) if is_attribute => drop(item.attributes.insert(key, plain(value))),
            (Part::Item, Some(item)) => drop(item.fields.insert(key, value.to_owned())),
            _ => {}
        }
    }

    fn begin(&mut self, title: &str) {
        let signal = match title {
            "NumberDataPoints" | "HistogramDataPoints" => Signal::Point,
            "Span" => Signal::Span,
            "LogRecord" => Signal::Record,
            "Metric" => {
                self.finish();
                self.metric.clear();
                return self.part = Part::Metric;
            }
            "ResourceSpans" | "ResourceLog" | "ResourceMetrics" => {
                self.finish();
                self.resource.clear();
                return self.part = Part::Resource;
            }
            _ => return,
        };
        self.finish();
        let fields = if signal == Signal::Point { self.metric.clone() } else { BTreeMap::new() };
        let (name, attributes, resource) = (String::new(), BTreeMap::new(), self.resource.clone());
        self.item = Some(Item { signal, name, fields, attributes, resource });
        self.part = Part::Item;
    }

    fn finish(&mut self) {
        let Some(mut item) = self.item.take() else { return };
        let key = if item.signal == Signal::Record { "EventName" } else { "Name" };
        item.name = item.field(key).to_owned();
        self.items.push(item);
    }
}

/// `Str(text)`, `Int(1)`, `Double(0.5)`, `Bool(true)` without its type.
fn plain(value: &str) -> String {
    let inner = value.strip_suffix(')').and_then(|value| Some(value.split_once('(')?.1));
    inner.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
{\"msg\":\"Starting Rotel.\"}
ResourceMetrics #0
Resource attributes:
     -> service.instance.id: Str(node-1)
Metric #0
Descriptor:
     -> Name: ha_agent.failover.duration
     -> Unit: s
NumberDataPoints #0
Data point attributes:
     -> phase: Str(announce)
     -> planned: Bool(false)
Count: 1
ExplicitBounds #0: 0.0001
Buckets #0, Count: 0
Buckets #1, Count: 7
Sum: 0.5
ResourceLog #0
LogRecord #0
EventName: ha_agent.instance.announced
Body: Str(addresses announced: all #3)
    Trace ID       : 50e8
";

    #[test]
    fn what_rotel_prints_becomes_items() {
        let received = Received::parse(PRINTED);
        assert_eq!(received.0.len(), 2);
        let point = received.latest("ha_agent.failover.duration", &[("phase", "announce")]).expect("printed");
        assert_eq!((point.attribute("planned"), point.field("Unit")), ("false", "s"));
        assert_eq!(point.resource["service.instance.id"], "node-1");
        assert_eq!(received.number("ha_agent.failover.duration", &[], "Count"), 1.0);
        assert_eq!(received.number("ha_agent.failover.duration", &[], "Sum"), 0.5);
        assert!(received.number("ha_agent.failover.duration", &[("phase", "detect")], "Sum").is_nan());
        let records = received.all(Signal::Record, "ha_agent.instance.announced");
        assert_eq!(records[0].field("Trace ID"), "50e8");
    }
}
