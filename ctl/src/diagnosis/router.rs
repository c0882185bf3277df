//! What is found about virtual routers: who shares one, whether they agree, and whether they hear each other.

use std::collections::BTreeSet;

use super::{Evidence, Finding, FindingCode, Severity};
use crate::model::InstanceView;
use crate::verdict::and;

pub(super) fn findings(evidence: &Evidence<'_>) -> Vec<Finding> {
    let is_complete = evidence.statuses.iter().all(|status| status.is_answered());
    let mut findings = Vec::new();
    for router in routers(evidence.instances) {
        findings.extend(differences(&router));
        findings.extend(router.iter().filter_map(|member| fault(member)));
        findings.extend(not_heard(&router));
        findings.extend(equal_priority(&router));
        // Who else has it may be among those that did not answer.
        if is_complete && evidence.nodes.len() > 1 {
            findings.extend(no_partner(&router));
        }
    }
    findings.extend(lease_off(evidence.instances));
    findings
}

/// The members of each virtual router: those that share an address, or, without any, number and family.
fn routers(instances: &[InstanceView]) -> Vec<Vec<&InstanceView>> {
    let mut routers: Vec<Vec<&InstanceView>> = Vec::new();
    for instance in instances {
        let is_same = |other: &&InstanceView| match (instance.vips.is_empty(), other.vips.is_empty()) {
            (true, true) => key(instance) == key(other),
            _ => instance.vips.iter().any(|vip| other.vips.contains(vip)),
        };
        match routers.iter_mut().find(|members| members.iter().any(is_same)) {
            Some(members) => members.push(instance),
            None => routers.push(vec![instance]),
        }
    }
    routers
}

fn key(instance: &InstanceView) -> (i32, &'static str) {
    (instance.virtual_router_id, instance.family)
}

fn label(instance: &InstanceView) -> String {
    format!("{}/{}", instance.node, instance.instance)
}

fn names<'a>(router: &[&'a InstanceView]) -> Vec<&'a str> {
    router.iter().map(|member| member.node.as_str()).collect()
}

/// What is asked of each member, how much a difference matters, and the answer.
type Question<'a> = (&'static str, Severity, &'a dyn Fn(&InstanceView) -> String);

/// What all members of a virtual router must agree about: RFC 9568 section 5.2.
fn differences(router: &[&InstanceView]) -> Vec<Finding> {
    let interval = |member: &InstanceView| {
        member.advertisement_interval.map(|span| span.to_string()).unwrap_or_default()
    };
    let vips = |member: &InstanceView| {
        let vips: BTreeSet<&str> = member.vips.iter().map(String::as_str).collect();
        vips.into_iter().collect::<Vec<_>>().join(" ")
    };
    let questions: [Question<'_>; 4] = [
        ("virtual_router_id", Severity::Error, &|member| member.virtual_router_id.to_string()),
        ("version", Severity::Error, &|member| member.vrrp_version.to_string()),
        ("addresses", Severity::Warn, &vips),
        ("advertisement_interval", Severity::Warn, &interval),
    ];
    let mut findings = Vec::new();
    for (what, severity, answer) in questions {
        let answers: Vec<String> = router.iter().map(|member| answer(member)).collect();
        if answers.iter().all(|answer| *answer == answers[0]) {
            continue;
        }
        let each: Vec<String> = router
            .iter()
            .zip(&answers)
            .map(|(member, answer)| format!("{} has {answer}", label(member)))
            .collect();
        let message = format!("{what} differs: {}", each.join("; "));
        let remedy = "make it the same in the configuration of all nodes, and reload";
        findings.push(Finding::new(
            severity,
            FindingCode::ConfigurationDiffers,
            &names(router),
            message,
            remedy,
        ));
    }
    findings
}

fn fault(member: &InstanceView) -> Option<Finding> {
    (member.state == "FAULT").then(|| {
        let message = format!("{} is in FAULT: {}", label(member), member.fault_reasons.join("; "));
        let remedy = format!("hactl explain {}", label(member));
        Finding::new(Severity::Warn, FindingCode::Fault, &[&member.node], message, &remedy)
    })
}

/// Each Backup must hear an Active router, or it will take over beside it.
fn not_heard(router: &[&InstanceView]) -> Vec<Finding> {
    let Some(active) = router.iter().find(|member| member.state == "ACTIVE") else { return Vec::new() };
    let is_deaf = |member: &&&InstanceView| member.state == "BACKUP" && !member.hears_active();
    let tell = |member: &&InstanceView| {
        let message = format!("{} does not hear the adverts of {}", label(member), label(active));
        let remedy =
            "look for filtered multicast (224.0.0.18, ff02::12) or protocol 112 between these two nodes";
        let nodes = [member.node.as_str(), active.node.as_str()];
        Finding::new(Severity::Error, FindingCode::NotHeard, &nodes, message, remedy)
    };
    router.iter().filter(is_deaf).map(tell).collect()
}

fn equal_priority(router: &[&InstanceView]) -> Option<Finding> {
    let best = router.iter().map(|member| member.base_priority).max()?;
    let equal: Vec<&InstanceView> =
        router.iter().filter(|member| member.base_priority == best).copied().collect();
    (equal.len() > 1).then(|| {
        let message = format!(
            "{} have the same highest priority {best} for {}: the higher address decides",
            and(&names(&equal)),
            equal[0].instance
        );
        let remedy = "give the node that shall hold it a higher priority";
        Finding::new(Severity::Info, FindingCode::EqualPriority, &names(&equal), message, remedy)
    })
}

fn no_partner(router: &[&InstanceView]) -> Option<Finding> {
    let [only] = router else { return None };
    let message = format!("only {} has {}: nobody takes over when it fails", only.node, only.instance);
    let remedy =
        "configure the virtual router on another node, or ask that node too (--endpoint, hactl context)";
    Some(Finding::new(Severity::Warn, FindingCode::NoPartner, &[&only.node], message, remedy))
}

fn lease_off(instances: &[InstanceView]) -> Option<Finding> {
    let off =
        instances.iter().filter(|instance| instance.address_lease.is_none() && !instance.vips.is_empty());
    let off: BTreeSet<&str> = off.map(|instance| instance.node.as_str()).collect();
    let off: Vec<&str> = off.into_iter().collect();
    (!off.is_empty()).then(|| {
        let message =
            format!("address leases are off on {}: a killed agent leaves its addresses there", and(&off));
        let remedy = "set address_lease = \"auto\", so that the kernel takes them back";
        Finding::new(Severity::Info, FindingCode::LeaseOff, &off, message, remedy)
    })
}
