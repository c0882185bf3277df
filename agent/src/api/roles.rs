//! Who may do what: principals to roles, methods to roles. Denied unless said otherwise.

use std::collections::BTreeSet;
use std::fmt;

use super::connection::Peer;
use super::tls::Identity;

/// What a caller may do; each includes the ones before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Look.
    Reader,
    /// Move addresses and change priorities.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// The word in API, configuration and log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of a word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Reader, Self::Operator, Self::Admin].into_iter().find(|role| role.as_str() == word)
    }

    /// This role and those it includes.
    pub fn included(self) -> impl Iterator<Item = Self> {
        [Self::Reader, Self::Operator, Self::Admin].into_iter().filter(move |role| *role <= self)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Users and groups by number, and certificates by common name. A caller belongs to a group when it is the caller's primary group; members of a group
/// by `/etc/group` must be listed as users by whoever resolves the names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Principals {
    /// User ids.
    pub users: BTreeSet<u32>,
    /// Primary group ids.
    pub groups: BTreeSet<u32>,
    /// Common names of certificates.
    pub certificates: BTreeSet<String>,
}

impl Principals {
    fn contains(&self, user: u32, group: u32) -> bool {
        self.users.contains(&user) || self.groups.contains(&group)
    }
}

/// Which callers have which role. User 0 is always admin. A certificate that is not named has the role that its authority
/// wrote into it, and an agent's may look; who is not named otherwise has none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roles {
    /// May look.
    pub readers: Principals,
    /// May also change.
    pub operators: Principals,
    /// May do everything.
    pub admins: Principals,
}

impl Roles {
    /// The highest role of a caller.
    pub(crate) fn of_peer(&self, peer: &Peer) -> Option<Role> {
        match peer {
            Peer::Unix { user, group } => self.of(*user, *group),
            Peer::Certificate { identity, .. } => self.of_certificate(identity),
        }
    }

    fn of_certificate(&self, identity: &Identity) -> Option<Role> {
        let named =
            [(Role::Admin, &self.admins), (Role::Operator, &self.operators), (Role::Reader, &self.readers)];
        let named = named.into_iter().find(|(_, side)| side.certificates.contains(&identity.name));
        let by_node = identity.node.as_ref().map(|_| Role::Reader);
        named.map(|(role, _)| role).or(identity.role).or(by_node)
    }

    /// The highest role of a unix peer.
    pub fn of(&self, user: u32, group: u32) -> Option<Role> {
        let named =
            [(Role::Admin, &self.admins), (Role::Operator, &self.operators), (Role::Reader, &self.readers)];
        if user == 0 {
            return Some(Role::Admin);
        }
        named.into_iter().find(|(_, principals)| principals.contains(user, group)).map(|(role, _)| role)
    }
}

/// The role that each method needs. A method that is not here needs admin.
pub(super) const METHODS: &[(&str, Role)] = &[
    ("/ha.agent.v1.NodeService/GetNode", Role::Reader),
    ("/ha.agent.v1.NodeService/DrainNode", Role::Operator),
    ("/ha.agent.v1.NodeService/UndrainNode", Role::Operator),
    ("/ha.agent.v1.NodeService/GetDrain", Role::Reader),
    ("/ha.agent.v1.NodeService/GetClusterView", Role::Reader),
    ("/ha.agent.v1.InstanceService/GetInstance", Role::Reader),
    ("/ha.agent.v1.InstanceService/ListInstances", Role::Reader),
    ("/ha.agent.v1.InstanceService/OverridePriority", Role::Operator),
    ("/ha.agent.v1.InstanceService/ClearPriority", Role::Operator),
    ("/ha.agent.v1.InstanceService/TransferInstance", Role::Operator),
    ("/ha.agent.v1.InstanceService/EndTransfer", Role::Operator),
    ("/ha.agent.v1.VipService/ListVips", Role::Reader),
    ("/ha.agent.v1.VipService/AnnounceVip", Role::Operator),
    ("/ha.agent.v1.VipService/ProbeVip", Role::Operator),
    ("/ha.agent.v1.CheckService/GetCheck", Role::Reader),
    ("/ha.agent.v1.CheckService/ListChecks", Role::Reader),
    ("/ha.agent.v1.CheckService/RunCheck", Role::Operator),
    ("/ha.agent.v1.CheckService/MuteCheck", Role::Operator),
    ("/ha.agent.v1.CheckService/UnmuteCheck", Role::Operator),
    ("/ha.agent.v1.PoolService/GetPool", Role::Reader),
    ("/ha.agent.v1.PoolService/ListPools", Role::Reader),
    ("/ha.agent.v1.PoolService/DrainServer", Role::Operator),
    ("/ha.agent.v1.PoolService/UndrainServer", Role::Operator),
    ("/ha.agent.v1.ConfigService/GetConfig", Role::Reader),
    ("/ha.agent.v1.ConfigService/ValidateConfig", Role::Operator),
    ("/ha.agent.v1.ConfigService/ReloadConfig", Role::Operator),
    ("/ha.agent.v1.DebugService/GetLogLevel", Role::Reader),
    ("/ha.agent.v1.DebugService/SetLogLevel", Role::Admin),
    ("/ha.agent.v1.DebugService/ResetLogLevel", Role::Admin),
    ("/ha.agent.v1.DebugService/DumpState", Role::Admin),
    ("/ha.agent.v1.EventService/ListEvents", Role::Reader),
    ("/ha.agent.v1.EventService/WatchEvents", Role::Reader),
    ("/grpc.health.v1.Health/Check", Role::Reader),
    ("/grpc.health.v1.Health/Watch", Role::Reader),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Role::Reader),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Role::Reader),
];

/// Methods that are for other nodes alone, whatever role a caller has.
pub(super) const NODE_METHODS: [&str; 3] = [
    "/ha.agent.v1.PeerService/WatchReports",
    "/ha.agent.v1.PeerService/TakeOver",
    "/ha.agent.v1.PeerService/Echo",
];

/// Methods that answer with a stream; every other answer is whole when it is given.
pub(super) const STREAMS: [&str; 6] = [
    "/ha.agent.v1.DebugService/DumpState",
    "/ha.agent.v1.EventService/WatchEvents",
    "/ha.agent.v1.PeerService/WatchReports",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether there is a service of that name, such as "ha.agent.v1.NodeService".
pub(crate) fn is_offered(service: &str) -> bool {
    let of_method =
        |method: &'static str| method.strip_prefix('/')?.split_once('/').map(|(service, _)| service);
    let methods = METHODS.iter().map(|(method, _)| *method).chain(NODE_METHODS);
    methods.filter_map(of_method).any(|offered| offered == service)
}

/// Whether a method answers with a stream.
pub(crate) fn is_stream(path: &str) -> bool {
    STREAMS.contains(&path)
}

/// Whether a method is for other nodes alone.
pub(crate) fn is_for_nodes(path: &str) -> bool {
    NODE_METHODS.contains(&path)
}

/// The role that a method needs, by its path `/package.Service/Method`.
pub(crate) fn required(path: &str) -> Role {
    METHODS.iter().find(|(method, _)| *method == path).map_or(Role::Admin, |(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    fn methods_of(descriptors: &[u8]) -> Vec<String> {
        let set = FileDescriptorSet::decode(descriptors).unwrap();
        let mut methods = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    methods.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        methods
    }

    #[test]
    fn every_method_of_the_contract_has_a_row_and_every_row_a_method() {
        let mut served = methods_of(ha_proto::DESCRIPTORS);
        assert!(served.len() >= 8);
        served.extend(methods_of(tonic_health::pb::FILE_DESCRIPTOR_SET));
        served.extend(methods_of(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
        served.extend(methods_of(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET));
        served.sort();
        let methods = METHODS.iter().map(|(method, _)| method).chain(&NODE_METHODS);
        let mut rows: Vec<String> = methods.map(|method| (*method).to_owned()).collect();
        rows.sort();
        assert_eq!(served, rows);
    }

    #[test]
    fn a_method_that_changes_something_needs_more_than_a_reader() {
        for (method, role) in METHODS.iter().copied() {
            let name = method.rsplit('/').next().unwrap();
            let reads = ["Get", "List", "Watch", "Check", "ServerReflection"]
                .iter()
                .any(|verb| name.starts_with(verb));
            assert_eq!(role == Role::Reader, reads, "{method}");
        }
    }

    #[test]
    fn an_unmapped_method_needs_admin() {
        assert_eq!(required("/ha.agent.v1.NodeService/Explode"), Role::Admin);
        assert_eq!(required(""), Role::Admin);
    }

    #[test]
    fn the_highest_role_counts_and_strangers_have_none() {
        let roles = Roles {
            readers: Principals { users: [7, 8].into(), groups: [100].into(), ..Default::default() },
            operators: Principals { users: [8].into(), groups: [200].into(), ..Default::default() },
            admins: Principals { users: [9].into(), ..Default::default() },
        };
        let table = [
            (0, 0, Some(Role::Admin)),
            (0, 5, Some(Role::Admin)),
            (7, 1, Some(Role::Reader)),
            (8, 1, Some(Role::Operator)),
            (9, 100, Some(Role::Admin)),
            (10, 100, Some(Role::Reader)),
            (7, 200, Some(Role::Operator)),
            (10, 10, None),
            (100, 7, None),
        ];
        for (user, group, role) in table {
            assert_eq!(roles.of(user, group), role, "uid {user} gid {group}");
        }
    }
}
