//! Is it OK? The judgement over one virtual address, from what every answering node wants and what its kernel holds.
//! Pure: no time, no I/O. Which members belong to an address is `cluster`'s work.

use std::collections::BTreeSet;

use serde::Serialize;

#[cfg(test)]
mod tests;

/// The answer, from best to worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Verdict {
    /// Exactly one node is Active and its kernel holds the address; the others can take over.
    #[default]
    Ok,
    /// The address is held, but something is wrong or redundancy is less than configured.
    Degraded,
    /// It cannot be told from what is known.
    Unknown,
    /// Nobody is Active.
    NoActive,
    /// More than one node holds the address or says that it is Active.
    SplitBrain,
}

impl Verdict {
    /// The word, as in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "OK",
            Verdict::Degraded => "DEGRADED",
            Verdict::Unknown => "UNKNOWN",
            Verdict::NoActive => "NO_ACTIVE",
            Verdict::SplitBrain => "SPLIT_BRAIN",
        }
    }
}

/// What a virtual router is on one node. RFC 9568 section 6.3, and Fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Not started yet, or not known.
    Initialize,
    /// Listens.
    Backup,
    /// Holds, or should.
    Active,
    /// Cannot take part.
    Fault,
}

/// Whether an address is there: in the kernel, or in the wish of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Not there.
    Absent,
    /// On its way.
    Configuring,
    /// There.
    Present,
    /// The kernel refused it.
    Failed,
    /// Not read yet.
    Unknown,
}

/// One node's part in one virtual address.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The node's name.
    pub node: String,
    /// What its virtual router is.
    pub role: Role,
    /// What its election wants.
    pub desired: Presence,
    /// What its kernel holds.
    pub kernel: Presence,
    /// Another Active router that it hears while it is Active.
    pub rival: Option<String>,
    /// The Active router that it hears while it is Backup, while that one is not silent for too long.
    pub hears: Option<String>,
    /// Why it is in Fault.
    pub fault_reasons: Vec<String>,
}

/// Why a verdict is not OK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    /// What this alone makes of the verdict.
    pub verdict: Verdict,
    /// The word for programs.
    pub code: ReasonCode,
    /// The nodes that it is about.
    pub nodes: Vec<String>,
    /// The sentence for a reader.
    pub message: String,
}

/// The words for why a verdict is not OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ReasonCode {
    /// The kernels of several nodes hold the address.
    SeveralHolders,
    /// Several nodes are Active.
    SeveralActive,
    /// An Active node hears another Active router.
    RivalHeard,
    /// Nobody is Active.
    NobodyActive,
    /// Nobody asked is Active, but somebody else is heard on the wire.
    ActiveElsewhere,
    /// Nodes did not answer.
    NodeMissing,
    /// The Active node's kernel does not hold the address.
    NotInKernel,
    /// A kernel has not been read yet.
    KernelUnknown,
    /// A kernel holds the address although its node is not Active.
    LeftBehind,
    /// A node's election wants something else than its state says.
    WishDiffers,
    /// A node cannot take part.
    Fault,
    /// A node's virtual router has not started.
    Starting,
    /// The nodes disagree about the virtual router that owns the address.
    ConfigurationDiffers,
    /// A check fails and is not muted.
    CheckFailing,
    /// A pool has lost its quorum, keeps servers that fail, or its balancer is not as it should be.
    PoolFailing,
}

impl Reason {
    /// Builds a reason.
    pub(crate) fn new(
        verdict: Verdict,
        code: ReasonCode,
        nodes: &[&str],
        message: impl Into<String>,
    ) -> Self {
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        Reason { verdict, code, nodes, message: message.into() }
    }
}

/// The worst of the reasons; OK without any.
pub(crate) fn worst(reasons: &[Reason]) -> Verdict {
    reasons.iter().map(|reason| reason.verdict).max().unwrap_or_default()
}

/// Judges one virtual address from its `members` on the nodes that answered and the labels of the nodes that did not.
///
/// The reasons come worst first. A missing node makes the verdict UNKNOWN where it could be the only holder, and
/// DEGRADED otherwise: partial knowledge never is OK.
pub(crate) fn judge(members: &[Member], missing: &[String]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    reasons.extend(several_holders(members));
    reasons.extend(several_active(members));
    reasons.extend(members.iter().filter_map(rival));
    reasons.extend(nobody_active(members, missing));
    reasons.extend(members.iter().filter_map(|member| kernel(member, members)));
    reasons.extend(members.iter().filter_map(role));
    reasons.extend(members.iter().filter_map(wish));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict)); // stable
    reasons
}

fn nodes_where(members: &[Member], condition: impl Fn(&Member) -> bool) -> Vec<&str> {
    let nodes: BTreeSet<&str> =
        members.iter().filter(|member| condition(member)).map(|member| member.node.as_str()).collect();
    nodes.into_iter().collect()
}

fn several_holders(members: &[Member]) -> Option<Reason> {
    let holders = nodes_where(members, |member| member.kernel == Presence::Present);
    let idle =
        nodes_where(members, |member| member.kernel == Presence::Present && member.role != Role::Active);
    let left = match idle.as_slice() {
        [] => String::new(),
        idle => format!(" ({} should not)", and(idle)),
    };
    (holders.len() > 1).then(|| {
        let message = format!("the kernels of {} hold the address{left}", and(&holders));
        Reason::new(Verdict::SplitBrain, ReasonCode::SeveralHolders, &holders, message)
    })
}

fn several_active(members: &[Member]) -> Option<Reason> {
    let active = nodes_where(members, |member| member.role == Role::Active);
    (active.len() > 1).then(|| {
        let message = format!("{} are ACTIVE at the same time", and(&active));
        Reason::new(Verdict::SplitBrain, ReasonCode::SeveralActive, &active, message)
    })
}

fn rival(member: &Member) -> Option<Reason> {
    let rival = member.rival.as_ref().filter(|_| member.role == Role::Active)?;
    let message = format!("{} is ACTIVE and hears another Active router at {rival}", member.node);
    Some(Reason::new(Verdict::SplitBrain, ReasonCode::RivalHeard, &[&member.node], message))
}

fn nobody_active(members: &[Member], missing: &[String]) -> Option<Reason> {
    let absent: Vec<&str> = missing.iter().map(String::as_str).collect();
    if members.iter().any(|member| member.role == Role::Active) {
        if absent.is_empty() {
            return None;
        }
        let message =
            format!("{} did not answer: less redundancy, or a second holder that is not seen", and(&absent));
        return Some(Reason::new(Verdict::Degraded, ReasonCode::NodeMissing, &absent, message));
    }
    let witness = members.iter().find_map(|member| Some((member.node.as_str(), member.hears.as_deref()?)));
    Some(match (witness, absent.as_slice()) {
        (witness, [_, ..]) => {
            let heard = witness
                .map_or_else(String::new, |(node, address)| format!("; {node} hears {address} as Active"));
            let message =
                format!("no node that answered is ACTIVE, and {} did not answer{heard}", and(&absent));
            Reason::new(Verdict::Unknown, ReasonCode::NodeMissing, &absent, message)
        }
        (Some((node, address)), []) => {
            let message = format!("{node} hears {address} as Active, which is none of the nodes asked");
            Reason::new(Verdict::Unknown, ReasonCode::ActiveElsewhere, &[node], message)
        }
        (None, []) => Reason::new(Verdict::NoActive, ReasonCode::NobodyActive, &[], "nobody is ACTIVE"),
    })
}

fn kernel(member: &Member, all: &[Member]) -> Option<Reason> {
    let node = member.node.as_str();
    let (verdict, code, message) = match (member.role, member.kernel) {
        (Role::Active, Presence::Present) => return None,
        (Role::Active, Presence::Unknown) => (
            Verdict::Unknown,
            ReasonCode::KernelUnknown,
            format!("{node} is ACTIVE, its kernel has not been read yet"),
        ),
        (Role::Active, Presence::Failed) => (
            Verdict::Degraded,
            ReasonCode::NotInKernel,
            format!("{node} is ACTIVE, but its kernel refused the address"),
        ),
        (Role::Active, Presence::Absent) => (
            Verdict::Degraded,
            ReasonCode::NotInKernel,
            format!("{node} is ACTIVE, but its kernel has no such address"),
        ),
        (Role::Active, Presence::Configuring) => (
            Verdict::Degraded,
            ReasonCode::NotInKernel,
            format!("{node} is ACTIVE, and the address is on its way into its kernel"),
        ),
        // Beside another holder this is a split brain and said there.
        (_, Presence::Present) if nodes_where(all, |other| other.kernel == Presence::Present).len() == 1 => (
            Verdict::Degraded,
            ReasonCode::LeftBehind,
            format!("the kernel of {node} holds the address although {node} is not ACTIVE"),
        ),
        (_, Presence::Unknown) => (
            Verdict::Degraded,
            ReasonCode::KernelUnknown,
            format!("the kernel of {node} has not been read yet"),
        ),
        _ => return None,
    };
    Some(Reason::new(verdict, code, &[node], message))
}

fn role(member: &Member) -> Option<Reason> {
    let node = member.node.as_str();
    match member.role {
        Role::Fault => {
            let why = match member.fault_reasons.as_slice() {
                [] => "no reason given".to_owned(),
                reasons => reasons.join("; "),
            };
            Some(Reason::new(
                Verdict::Degraded,
                ReasonCode::Fault,
                &[node],
                format!("{node} is in FAULT: {why}"),
            ))
        }
        Role::Initialize => {
            let message = format!("{node} has not started this virtual router");
            Some(Reason::new(Verdict::Degraded, ReasonCode::Starting, &[node], message))
        }
        Role::Active | Role::Backup => None,
    }
}

fn wish(member: &Member) -> Option<Reason> {
    let node = member.node.as_str();
    let message = match (member.role, member.desired) {
        (Role::Active, Presence::Absent) => format!("{node} is ACTIVE, but does not want the address"),
        (Role::Backup | Role::Fault | Role::Initialize, Presence::Present) => {
            format!("{node} is not ACTIVE, but wants the address")
        }
        _ => return None,
    };
    Some(Reason::new(Verdict::Degraded, ReasonCode::WishDiffers, &[node], message))
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn and(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}
