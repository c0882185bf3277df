//! Names of users and groups in the configuration to the numbers that a unix socket tells; certificates keep their names.

use ha_config::{Api, Principal};
use nix::unistd::{Gid, Group, Uid, User};

use crate::api::{Principals, Roles};

/// Resolves all names; says which do not exist.
pub(super) fn resolve(api: &Api) -> (Roles, Vec<String>) {
    let mut unknown = Vec::new();
    let mut side = |principals: &[Principal]| {
        let mut resolved = Principals::default();
        for principal in principals {
            if add(&mut resolved, principal).is_none() {
                unknown.push(format!(
                    "api: there is no user or group {principal} on this machine; it gets no role"
                ));
            }
        }
        resolved
    };
    let roles =
        Roles { readers: side(&api.readers), operators: side(&api.operators), admins: side(&api.admins) };
    (roles, unknown)
}

/// The group that may open the socket at all: the first group that has a role.
pub(super) fn socket_group(api: &Api) -> Option<u32> {
    let principals = api.admins.iter().chain(&api.operators).chain(&api.readers);
    principals
        .filter_map(|principal| match principal {
            Principal::Group(name) => group(name),
            Principal::User(_) | Principal::Certificate(_) => None,
        })
        .map(|group| group.gid.as_raw())
        .next()
}

fn add(principals: &mut Principals, principal: &Principal) -> Option<()> {
    match principal {
        Principal::User(name) => {
            let user = match name.parse() {
                Ok(number) => number,
                Err(_) => User::from_name(name).ok()??.uid.as_raw(),
            };
            principals.users.insert(user);
        }
        Principal::Group(name) => {
            let group = group(name)?;
            principals.groups.insert(group.gid.as_raw());
            // A socket tells the primary group only; the others are known by the group's list of members.
            let members = group.mem.iter().filter_map(|member| User::from_name(member).ok()?);
            principals.users.extend(members.map(|user| Uid::as_raw(user.uid)));
        }
        Principal::Certificate(name) => {
            principals.certificates.insert(name.clone());
        }
    }
    Some(())
}

fn group(name: &str) -> Option<Group> {
    match name.parse() {
        Ok(number) => Group::from_gid(Gid::from_raw(number)).ok()?,
        Err(_) => Group::from_name(name).ok()?,
    }
}
