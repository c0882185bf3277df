//! The kernel's own view of addresses, read by `ip -j addr`.

use std::net::IpAddr;

use serde_json::Value;

use crate::Namespace;

/// One address as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelAddress {
    /// The name of the link it is on.
    pub link: String,
    /// The address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
    /// Seconds the kernel will keep it; `None` is for ever.
    pub valid_seconds: Option<u32>,
    /// What `ip` calls its origin (`protocol`), if it is marked.
    pub protocol: Option<String>,
    /// Flags that `ip` shows: `secondary`, `tentative`, `dynamic`, `noprefixroute`...
    pub flags: Vec<String>,
}

impl Namespace {
    /// All addresses inside, loopback's too.
    #[track_caller]
    pub fn addresses(&self) -> Vec<KernelAddress> {
        let text = self.ip("-j addr show");
        parse(&text).unwrap_or_else(|error| panic!("cannot read ip's answer: {error}\n{text}"))
    }

    /// Whether any link inside carries `address`.
    #[track_caller]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses().iter().any(|found| found.address == address)
    }
}

fn parse(text: &str) -> Result<Vec<KernelAddress>, serde_json::Error> {
    let links: Vec<Value> = if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(text)? };
    let mut found = Vec::new();
    for link in &links {
        let name = link["ifname"].as_str().unwrap_or_default();
        let addresses = link["addr_info"].as_array().into_iter().flatten();
        found.extend(addresses.filter_map(|info| parse_one(name, info)));
    }
    Ok(found)
}

fn parse_one(link: &str, info: &Value) -> Option<KernelAddress> {
    const FOREVER: u64 = u32::MAX as u64;
    let shown = info.as_object()?.iter().filter(|(_, value)| **value == Value::Bool(true));
    Some(KernelAddress {
        link: link.to_owned(),
        address: info["local"].as_str()?.parse().ok()?,
        prefix: u8::try_from(info["prefixlen"].as_u64()?).ok()?,
        valid_seconds: match info["valid_life_time"].as_u64() {
            None | Some(FOREVER) => None,
            Some(seconds) => u32::try_from(seconds).ok(),
        },
        protocol: info["protocol"].as_str().map(str::to_owned),
        flags: shown.map(|(name, _)| name.clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leased_and_a_lasting_address_are_told_apart() {
        let text = r#"[{},{"ifname":"eth0","addr_info":[
            {"family":"inet","local":"10.80.1.1","prefixlen":32,"dynamic":true,"protocol":"112","valid_life_time":3},
            {"family":"inet6","local":"fe80::1","prefixlen":64,"valid_life_time":4294967295}]}]"#;
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].valid_seconds, Some(3));
        assert_eq!(found[0].flags, ["dynamic"]);
        assert_eq!(found[0].protocol.as_deref(), Some("112"));
        assert_eq!(found[1].valid_seconds, None);
        assert_eq!(found[1].address, "fe80::1".parse::<IpAddr>().unwrap());
    }
}
