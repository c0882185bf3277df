//! The configuration in force, judged texts, and reloads that cannot be.

use ha_proto::v1;
use tonic::Code;

use super::agent::Agent;
use super::reason;

#[tokio::test]
async fn the_configuration_in_force_is_shown_with_its_defaults() {
    let agent = Agent::start().await;
    let config = agent.configs().await.get_config(v1::GetConfigRequest::default()).await.unwrap();
    let config = config.into_inner().config.unwrap();
    assert_eq!((&*config.name, &*config.digest, &*config.source), ("nodes/a/config", "abc", "test.toml"));
    assert_eq!(config.etag, config.digest);
    assert!(config.load_time.is_some() && !config.truncated);
    let value = |key: &str| config.values.iter().find(|value| value.key == key).map(|value| &*value.value);
    let table = [
        ("node.name", Some("\"a\"")),
        ("api.socket", Some("\"/run/ha-agent/api.sock\"")),
        ("instance.web.priority", Some("100")),
        ("instance.web.addresses", Some("[\"10.9.0.1/32\"]")),
        ("instance.web.group", None),
    ];
    for (key, expected) in table {
        assert_eq!(value(key), expected, "{key}");
    }
}

#[tokio::test]
async fn the_name_of_another_node_is_refused() {
    let agent = Agent::start().await;
    let mut configs = agent.configs().await;
    for (name, word) in [("nodes/b/config", "NODE_NOT_FOUND"), ("nodes/a", "NAME_INVALID")] {
        let answer = configs.get_config(v1::GetConfigRequest { name: name.to_owned() }).await;
        assert_eq!(reason(&answer.unwrap_err()), word, "{name}");
    }
}

#[tokio::test]
async fn a_judged_text_has_findings_with_their_places_or_changes() {
    let agent = Agent::start().await;
    let mut configs = agent.configs().await;
    let mut judge = async |text: &str| {
        let request = v1::ValidateConfigRequest { text: text.to_owned() };
        configs.validate_config(request).await.unwrap().into_inner()
    };
    let broken = judge("[[instance]]\nname = 'web'\n").await;
    assert!(!broken.valid && broken.changes.is_empty());
    let first = &broken.findings[0];
    assert_eq!((first.line, first.column, first.level()), (1, 1, v1::config_finding::Level::Error));
    assert!(!first.message.is_empty() && !first.remedy.is_empty(), "{first:?}");

    let text =
        "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvirtual_router_id = 1\naddresses = ['10.9.0.1']\n";
    let same = judge(text).await;
    assert!(same.valid && same.changes.is_empty(), "{same:?}");
    let other = judge(&format!("{text}priority = 150\n[api]\nhistory = 100\n")).await;
    let changes: Vec<(&str, bool)> =
        other.changes.iter().map(|change| (&*change.change, change.restart_needed)).collect();
    let history = "api.history changed, takes effect after a restart";
    assert_eq!(changes, [(history, true), ("instance web changed: priority", false)]);
}

#[tokio::test]
async fn an_agent_that_is_stopping_reloads_nothing() {
    // The supervisor of these tests has left already.
    let agent = Agent::start().await;
    let answer = agent.configs().await.reload_config(v1::ReloadConfigRequest::default()).await;
    let status = answer.unwrap_err();
    assert_eq!((status.code(), &*reason(&status)), (Code::Unavailable, "AGENT_STOPPING"));
}
