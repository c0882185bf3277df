//! What agents say about themselves, asked by hactl as JSON: to be compared with what the network shows.

use std::time::Duration;

use serde_json::Value;

use crate::{Agent, agent::hactl, wait_for};

/// Something that an agent told, with the questions that tests ask of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told(pub Value);

impl Told {
    /// The text of a field; empty when there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// The number in a field; -1 when there is none.
    pub fn number(&self, field: &str) -> i64 {
        self.0[field].as_i64().unwrap_or(-1)
    }

    /// The texts of a list.
    pub fn texts(&self, field: &str) -> Vec<&str> {
        self.0[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

impl Agent {
    /// Runs hactl on this agent and returns the whole answer as JSON; `Null` when there is none.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Value {
        let output = hactl(&[self], &[words, &["--output", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    #[track_caller]
    fn items(&self, words: &[&str]) -> Vec<Told> {
        let answer = self.ask(words);
        answer["items"].as_array().into_iter().flatten().cloned().map(Told).collect()
    }

    /// Its virtual routers.
    #[track_caller]
    pub fn instances(&self) -> Vec<Told> {
        self.items(&["instance", "list"])
    }

    /// One virtual router by name; `None` also when the agent does not answer.
    #[track_caller]
    pub fn instance(&self, name: &str) -> Option<Told> {
        self.instances().into_iter().find(|instance| instance.text("instance") == name)
    }

    /// The state of a virtual router: `ACTIVE`, `BACKUP`, `FAULT`, `INITIALIZE`; empty when it is not known.
    #[track_caller]
    pub fn state(&self, name: &str) -> String {
        self.instance(name).map(|instance| instance.text("state").to_owned()).unwrap_or_default()
    }

    /// Waits until a virtual router says it is in this state.
    #[track_caller]
    pub fn wait_for_state(&self, name: &str, state: &str, bound: Duration) {
        let mut last = String::new();
        wait_for(&format!("{name} in state {state}; it said:\n{}", self.process.log()), bound, || {
            last = self.state(name);
            last == state
        });
    }

    /// Its virtual addresses: address, desired and kernel state.
    #[track_caller]
    pub fn vips(&self) -> Vec<(String, String, String)> {
        let own = |vip: &Told| {
            let member = vip.0["members"][0].clone();
            let state = |field: &str| member[field].as_str().unwrap_or_default().to_owned();
            (vip.text("address").to_owned(), state("desired_state"), state("kernel_state"))
        };
        self.items(&["vip", "list"]).iter().map(own).collect()
    }

    /// The newest 1000 events of these types (`vip.*` for all of a kind), oldest first.
    #[track_caller]
    pub fn events(&self, types: &[&str]) -> Vec<Told> {
        let filters: Vec<&str> = types.iter().flat_map(|kind| ["--type", kind]).collect();
        self.items(&[&["events", "--last", "1000"], &filters[..]].concat())
    }

    /// Waits for an event of this type that satisfies `is_it`, and returns it.
    #[track_caller]
    pub fn wait_for_event(&self, kind: &str, bound: Duration, is_it: impl Fn(&Told) -> bool) -> Told {
        let what = format!("event {kind}; the agent said:\n{}", self.process.log());
        crate::wait_some(&what, bound, || self.events(&[kind]).into_iter().find(&is_it))
    }
}
