//! `hactl config convert`: TOML on standard output, findings on standard error, no node asked.

use crate::support::{Run, hactl};

const WHOLE: &str = "vrrp_instance VI_1 {\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority 120\n \
                     virtual_ipaddress { 192.0.2.10 dev eth0 label eth0:1 }\n}\n";

/// Converts files in a folder of their own, which is removed.
fn convert(name: &str, files: &[(&str, &str)], more: &[&str]) -> Run {
    let folder = std::env::temp_dir().join(format!("hactl-convert-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in files {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let mut command = hactl();
    command.args(["config", "convert", "keepalived.conf"]).args(more).current_dir(&folder);
    let run = Run::of(command);
    std::fs::remove_dir_all(&folder).unwrap();
    run
}

#[test]
fn a_keepalived_conf_becomes_toml_on_standard_output_and_findings_on_standard_error() {
    let run = convert("whole", &[("keepalived.conf", WHOLE)], &[]).ends(0);
    assert!(run.out.contains("# keepalived.conf:1\n[[instance]]\nname = \"VI_1\"\n"), "{}", run.out);
    assert!(
        run.out.contains("priority = 120\n") && run.out.contains("[defaults]\nversion = 2\n"),
        "{}",
        run.out
    );
    assert!(run.err.contains("keepalived.conf:6:42: warning: label of 192.0.2.10"), "{}", run.err);
    assert!(run.out.contains("# keepalived.conf:6: label of 192.0.2.10"), "{}", run.out);
}

#[test]
fn what_cannot_be_taken_over_stands_in_the_toml_and_ends_with_3() {
    let more = "virtual_server 192.0.2.10 80 {\n lb_algo rr\n}\n";
    let run = convert("lossy", &[("keepalived.conf", &format!("{WHOLE}{more}"))], &[]).ends(3);
    assert!(
        run.out.contains("# keepalived.conf:8: NOT TAKEN OVER: keepalived's virtual_server"),
        "{}",
        run.out
    );
    assert!(run.out.contains("[[instance]]"), "{}", run.out);
    assert!(run.err.contains("keepalived.conf:8:1: error: keepalived's virtual_server"), "{}", run.err);
}

#[test]
fn included_files_are_read_and_programs_get_all_of_it_as_json() {
    let files = [("keepalived.conf", "include *.inc\n"), ("a.inc", WHOLE)];
    let json = convert("json", &files, &["-o", "json"]).ends(0).json();
    assert_eq!((json["kind"].as_str(), json["complete"].as_bool()), (Some("ConfigConversion"), Some(true)));
    let item = &json["items"][0];
    assert_eq!((item["whole"].as_bool(), item["findings"][0]["file"].as_str()), (Some(true), Some("a.inc")));
    assert!(item["toml"].as_str().unwrap().contains("# a.inc:1\n[[instance]]"), "{item}");
}

#[test]
fn what_is_no_keepalived_conf_is_a_mistake_of_the_command_line() {
    let run = convert("toml", &[("keepalived.conf", "[node]\nname = 'a'\n")], &[]).ends(2);
    assert!(run.err.contains("keepalived.conf is no keepalived.conf"), "{}", run.err);
    let run = convert("none", &[], &[]).ends(2);
    assert!(run.err.contains("cannot read keepalived.conf"), "{}", run.err);
}
