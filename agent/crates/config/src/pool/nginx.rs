//! `[nginx]` and `[pool.nginx]`: which nginx, and how a pool is written for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::keys;
use crate::model::{Nginx, NginxForm, NginxPool, NginxSorry};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::value::Value;

/// Reads `[nginx]`.
pub(crate) fn read(root: &Section<'_>, report: &mut Report<'_>) -> Nginx {
    let default = Nginx::default();
    let Some(section) = root.table(report, "nginx", "[nginx]") else {
        return default;
    };
    section.reject_unknown(report, keys::NGINX, |key| match key {
        "binary" | "bin" | "path" => Some("write program".to_owned()),
        "config" | "conf" | "config_file" => Some("write configuration".to_owned()),
        "pid" => Some("write pid_file".to_owned()),
        _ => None,
    });
    let timeout = |value: &Value<'_>, report: &mut Report<'_>| {
        value.duration(report, Duration::from_millis(100)..=Duration::from_secs(600))
    };
    Nginx {
        program: section.read(report, "program", reader::absolute_path).value_or(default.program),
        configuration: section.read(report, "configuration", reader::absolute_path).value().cloned(),
        prefix: section.read(report, "prefix", folder).value().cloned(),
        pid_file: section.read(report, "pid_file", reader::absolute_path).value_or(default.pid_file),
        test: section.read(report, "test", reader::argv).value().cloned(),
        reload: section.read(report, "reload", reader::argv).value().cloned(),
        command_timeout: section.read(report, "command_timeout", timeout).value_or(default.command_timeout),
        reload_timeout: section.read(report, "reload_timeout", timeout).value_or(default.reload_timeout),
    }
}

/// A folder may end in a slash.
fn folder(value: &Value<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = value.text(report)?;
    if !text.starts_with('/') {
        let message = format!("{} {} is no absolute path", value.key, crate::value::shown(text));
        report.error(&value.span, message, "write the whole path of a folder, from '/' on");
        return None;
    }
    Some(Path::new(text).to_owned())
}

/// Reads `[pool.nginx]` of a pool with that name.
pub(super) fn read_pool(
    pool: &Section<'_>,
    name: Option<&String>,
    report: &mut Report<'_>,
) -> Slot<NginxPool> {
    pool.read(report, "nginx", |value, report| {
        let section = value.table(report, "[pool.nginx] with file = \"/etc/nginx/ha-agent/web.servers\"")?;
        section.reject_unknown(report, keys::POOL_NGINX, |key| match key {
            "include" | "path" => Some("write file".to_owned()),
            "upstream" => Some(
                "the upstream has the name of the pool; write form = \"upstream\" for a whole one".to_owned(),
            ),
            _ => None,
        });
        let forms = [("servers", NginxForm::Servers), ("upstream", NginxForm::Upstream)];
        let sorry = [("standby", NginxSorry::Standby), ("alone", NginxSorry::Alone)];
        let usual = format!("/etc/nginx/ha-agent/{}.servers", name.map_or("", String::as_str));
        Some(NginxPool {
            file: section.read(report, "file", reader::absolute_path).value_or(usual.into()),
            form: section.read(report, "form", |v, r| v.word(r, &forms)).value_or_default(),
            sorry: section.read(report, "sorry", |v, r| v.word(r, &sorry)).value_or_default(),
            passive_checks: section.read(report, "passive_checks", Value::boolean).value_or_default(),
        })
    })
}
