//! Lines, levels, and a reader that does not read.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel, sync_channel};

use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::*;

/// Lines that were written.
fn recorded() -> (Sink, Queue, Receiver<Vec<u8>>) {
    let (written, lines) = channel();
    let (sink, queue) =
        Sink::start(Box::new(move |line: &[u8]| written.send(line.to_vec()).map_err(io::Error::other)))
            .unwrap();
    (sink, queue, lines)
}

fn log(format: LogFormat, queue: Queue, level: &str, body: impl FnOnce()) {
    let config = LogConfig { level: level.into(), format };
    let filter = filter(&chosen(&config, &|_| None)).unwrap();
    let layer = kept_back(layer(format, queue));
    with_default(&Dispatch::new(tracing_subscriber::registry().with(layer).with(filter)), body);
}

fn texts(sink: &Sink, lines: &Receiver<Vec<u8>>) -> Vec<String> {
    sink.flush(Duration::from_secs(10));
    lines.try_iter().map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

#[test]
fn a_json_line_is_one_object_with_the_fields_of_the_event() {
    let (sink, queue, lines) = recorded();
    log(LogFormat::Json, queue, "info", || {
        tracing::info!(cause = "AGENT_START", sequence = 7, "web: BACKUP to ACTIVE");
        tracing::debug!("not at this level");
    });
    let texts = texts(&sink, &lines);
    assert_eq!(texts.len(), 1, "{texts:?}");
    for part in [
        "\"level\":\"INFO\"",
        "\"message\":\"web: BACKUP to ACTIVE\"",
        "\"cause\":\"AGENT_START\"",
        "\"sequence\":7",
    ] {
        assert!(texts[0].contains(part), "{part} in {}", texts[0]);
    }
    assert!(texts[0].starts_with('{') && texts[0].ends_with("}\n"), "{}", texts[0]);
}

#[test]
fn a_journal_entry_has_a_field_for_each_value() {
    let (sink, queue, lines) = recorded();
    log(LogFormat::Journald, queue, "info", || tracing::error!(cause = "ADDRESS_FAILED", "two\nlines"));
    let texts = texts(&sink, &lines);
    assert_eq!(texts.len(), 1);
    for part in [
        "PRIORITY\n\u{1}\0\0\0\0\0\0\x003\n",
        "MESSAGE\n\u{20}\0\0\0\0\0\0\0two\nlines (cause=ADDRESS_FAILED)\n",
        "CAUSE\n",
        "ADDRESS_FAILED\n",
    ] {
        assert!(texts[0].contains(part), "{part:?} in {:?}", texts[0]);
    }
}

#[test]
fn a_journal_entry_is_one_datagram_and_a_journal_that_does_not_read_stops_nobody() {
    let path = std::env::temp_dir().join(format!("ha-agent-journal-{}", std::process::id()));
    let journal = UnixDatagram::bind(&path).unwrap();
    let (sink, queue) = Sink::start(journal_writer(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    // The kernel's queue of a datagram socket is far shorter than this; the writing thread blocks on it.
    log(LogFormat::Journald, queue, "info", || {
        (0..sink::CAPACITY * 2).for_each(|number| tracing::info!(number, "hello"))
    });
    assert!(sink.lost().load(Ordering::Relaxed) > 0);
    let mut octets = vec![0; sink::LINE_LIMIT];
    let length = journal.recv(&mut octets).unwrap();
    let entry = String::from_utf8_lossy(&octets[..length]).into_owned();
    assert!(
        entry.contains("MESSAGE\n\u{10}\0\0\0\0\0\0\0hello (number=0)\n") && entry.contains("NUMBER\n"),
        "{entry:?}"
    );
}

#[test]
fn libraries_are_quiet_unless_the_level_names_them() {
    let (sink, queue, lines) = recorded();
    log(LogFormat::Text, queue.clone(), "debug", || {
        tracing::info!(target: "h2::client", "quiet");
        tracing::debug!(target: "ha_agent::journal", "heard");
    });
    log(LogFormat::Text, queue, "info,h2=debug", || tracing::debug!(target: "h2::client", "named"));
    let texts = texts(&sink, &lines);
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("heard") && texts[1].contains("named"), "{texts:?}");
}

#[test]
fn what_a_library_says_at_trace_is_never_heard_and_what_we_say_there_is() {
    let (sink, queue, lines) = recorded();
    log(LogFormat::Text, queue, "trace,hyper=trace,lettre=trace", || {
        tracing::trace!(target: "hyper::proto", "authorization: Basic c2VjcmV0");
        tracing::trace!(target: "lettre", "AUTH PLAIN AHNlY3JldA==");
        tracing::debug!(target: "hyper::proto", "parsed 3 headers");
        tracing::trace!(target: "ha_agent::peers", "ours");
    });
    let texts = texts(&sink, &lines);
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("parsed 3 headers") && texts[1].contains("ours"), "{texts:?}");
}

#[test]
fn a_level_that_is_put_in_force_counts_from_the_next_line_on() {
    let (sink, queue, lines) = recorded();
    let chosen = Chosen { text: "info".to_owned(), origin: CONFIGURATION };
    let (filter, handle) = reload::Layer::new(filter(&chosen).unwrap());
    let layer = kept_back(layer(LogFormat::Text, queue));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _runtime = runtime.enter();
    with_default(&Dispatch::new(tracing_subscriber::registry().with(layer).with(filter)), || {
        let apply = move |filter| handle.reload(filter).map_err(|error| error.to_string());
        let levels = Levels::new("info", false, apply);
        let say = || tracing::debug!(target: "ha_agent::peers", "dialled");
        say();
        let since = crate::clock::now();
        let asked = LevelOverride {
            directives: "ha_agent::peers=debug".parse().unwrap(),
            reason: "".into(),
            actor: Default::default(),
            since,
            expires: since.after(Duration::from_secs(60)),
        };
        levels.set(Some(asked)).unwrap();
        say();
        levels.set(None).unwrap();
        say();
    });
    let texts = texts(&sink, &lines);
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn the_exporters_complaint_is_heard_once_a_minute_and_others_always() {
    let (sink, queue, lines) = recorded();
    log(LogFormat::Text, queue, "info", || {
        for _ in 0..100 {
            tracing::error!(target: "opentelemetry_sdk", "export failed");
            tracing::error!(target: "ha_agent", "something else");
        }
    });
    let texts = texts(&sink, &lines);
    let complaints = texts.iter().filter(|text| text.contains("export failed")).count();
    assert_eq!((complaints, texts.len()), (1, 101));
}

#[test]
fn the_environment_decides_the_level_and_a_bad_one_is_named_with_its_origin() {
    let config = LogConfig { level: "warn".into(), format: LogFormat::Text };
    let environment = |name: &str| match name {
        "HA_AGENT_LOG" => Some("ha_agent=loud".to_owned()),
        "RUST_LOG" => Some("debug".to_owned()),
        _ => None,
    };
    let error = filter(&chosen(&config, &environment)).unwrap_err().to_string();
    assert!(error.contains("HA_AGENT_LOG") && error.contains("ha_agent=loud"), "{error}");
    let from_rust_log =
        filter(&chosen(&config, &|name| environment(name).filter(|_| name == "RUST_LOG"))).unwrap();
    assert!(from_rust_log.to_string().contains("debug"), "{from_rust_log}");
}

#[test]
fn a_reader_that_stopped_reading_stops_nobody_and_lost_lines_are_counted() {
    let (release, blocked) = sync_channel::<()>(0);
    let blocked = Mutex::new(blocked);
    let (sink, queue) = Sink::start(Box::new(move |_: &[u8]| {
        // Blocks until the test lets go, like a full pipe.
        let _ = blocked.lock().unwrap().recv();
        Ok(())
    }))
    .unwrap();
    let lines = sink::CAPACITY + 1000;
    for number in 0..lines {
        queue.push(format!("line {number}\n").as_bytes());
    }
    let lost = sink.lost().load(Ordering::Relaxed);
    // One line may be in the writer's hands.
    assert!((999..=1000).contains(&lost), "{lost}");
    drop(release);
}

#[test]
fn a_long_line_is_cut() {
    let (sink, queue, lines) = recorded();
    queue.push(&vec![b'x'; sink::LINE_LIMIT * 2]);
    sink.flush(Duration::from_secs(10));
    assert_eq!(lines.try_recv().unwrap().len(), sink::LINE_LIMIT + 1);
}
