//! Carries ownerships out: operations of all instances in one batch, then a look at what the kernel has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ha_engine::{Applied, InstanceId, Ownership};

use crate::address::Prefixed;
use crate::clock;
use crate::handle::LinkSettings;
use crate::kernel::Kernel;
use crate::macvlan::Macvlans;
use crate::netlink::decode::Rejection;
use crate::netlink::encode::{DeviceSetting, Request};
use crate::ownership::{Device, Holding, Holdings, Operation, Present, plan};
use crate::renewals::Renewals;

/// Holds and releases addresses.
#[derive(Debug, Default)]
pub(crate) struct Owner {
    pub(crate) holdings: Holdings,
    renewals: Renewals,
    macvlans: Macvlans,
    /// Links on which promote_secondaries was set.
    promoted: BTreeSet<u32>,
}

/// A request, whose it is and what it does.
struct Job {
    instance: InstanceId,
    device: Device,
    operation: Operation,
    request: Request,
}

impl Job {
    fn is_ipv6(&self) -> bool {
        let (Operation::Remove(address) | Operation::Add(address) | Operation::Renew(address)) =
            self.operation;
        address.address.is_ipv6()
    }
}

/// The first thing that went wrong, by instance.
type Failures = BTreeMap<InstanceId, Arc<str>>;

impl Owner {
    /// Carries out the ownerships, one for each instance; older ones than those in force are passed over.
    pub(crate) fn apply(
        &mut self,
        kernel: &mut Kernel,
        ownerships: &BTreeMap<InstanceId, Ownership>,
    ) -> Vec<Applied> {
        let is_news = |ownership: &&Ownership| {
            let known = self.holdings.get(ownership.instance);
            known.is_none_or(|known| known.generation <= ownership.generation)
        };
        let news: Vec<&Ownership> = ownerships.values().filter(is_news).collect();
        let mut failures = Failures::new();
        // All claims first, so that what moves from one instance to another is neither removed nor missed.
        let mut previous = Vec::new();
        for ownership in &news {
            let holding = Holding::new(ownership);
            for device in holding.places.keys() {
                if let Err(text) = self.macvlans.ensure(kernel, device) {
                    failures.entry(ownership.instance).or_insert_with(|| text.into());
                }
            }
            previous.push((ownership.instance, self.holdings.put(ownership.instance, holding)));
        }
        self.carry_out(kernel, &previous, &mut failures);
        self.remove_unused(kernel, &previous, &mut failures);
        let at = clock::now();
        let outcome = |ownership: &&Ownership| Applied {
            instance: ownership.instance,
            generation: ownership.generation,
            result: self.verify(kernel, ownership.instance, &mut failures),
            at,
        };
        news.iter().map(outcome).collect()
    }

    /// Renews leases of these `lifetimes`, a batch of those behind an instance. Returns how far it has come; `None` = to the end.
    pub(crate) fn renew(
        &mut self,
        kernel: &mut Kernel,
        lifetimes: &[u32],
        behind: Option<InstanceId>,
    ) -> Option<InstanceId> {
        let next = self.renewals.next(&self.holdings, &kernel.observed, lifetimes, behind);
        let (batch, is_last) = next?;
        match kernel.renew(&batch.octets) {
            Ok(rejections) => {
                if let [rejection, more @ ..] = &rejections[..] {
                    let more = more.len();
                    kernel.trouble(format!("cannot renew address leases: {rejection}, and {more} more"));
                }
            }
            Err(error) => kernel.trouble(format!("cannot renew address leases: {error}")),
        }
        (!is_last).then_some(batch.last)
    }

    /// Removes every address and macvlan that carries our tag and that no instance wants. What was removed: addresses, links.
    pub(crate) fn sweep(&mut self, kernel: &mut Kernel) -> Swept {
        let mut claimed = BTreeSet::new();
        let mut devices = BTreeSet::new();
        for (device, addresses) in self.holdings.iter().flat_map(|(_, holding)| &holding.places) {
            if let Some(index) = device.index(&kernel.observed) {
                devices.insert(index);
                claimed.extend(addresses.iter().map(|address| (index, *address)));
            }
        }
        sweep(kernel, |index, address| claimed.contains(&(index, address)), |index| devices.contains(&index))
    }

    /// Gives up everything.
    pub(crate) fn withdraw(&mut self, kernel: &mut Kernel) -> Swept {
        self.holdings = Holdings::default();
        // In order, so that lower links get their settings back.
        let macvlans = std::mem::take(&mut self.macvlans);
        let mut swept = sweep(kernel, |_, _| false, |_| false);
        swept.failures.extend(macvlans.restore_all(kernel));
        swept
    }

    /// What an earlier process had set on links.
    pub(crate) fn inherit(&mut self, settings: LinkSettings) {
        self.macvlans.inherit(settings);
    }

    /// What the next process has to put right one day.
    pub(crate) fn into_settings(self) -> LinkSettings {
        self.macvlans.into_settings()
    }

    /// The lifetimes in use.
    pub(crate) fn lifetimes(&self) -> BTreeSet<u32> {
        let holding = self.holdings.iter().filter(|(_, holding)| !holding.is_empty());
        holding.filter_map(|(_, holding)| holding.lease).collect()
    }

    fn carry_out(
        &mut self,
        kernel: &mut Kernel,
        previous: &[(InstanceId, Option<Holding>)],
        failures: &mut Failures,
    ) {
        let mut jobs = Vec::new();
        for (instance, previous) in previous {
            self.plan_instance(kernel, *instance, previous.as_ref(), &mut jobs, failures);
        }
        jobs.sort_by_key(|job| !matches!(job.operation, Operation::Remove(_)));
        self.promote_secondaries(kernel, &jobs);
        let requests: Vec<Request> = jobs.iter().map(|job| job.request.clone()).collect();
        match kernel.execute(&requests) {
            Ok(outcomes) => {
                read_unseen(kernel, &jobs, &outcomes);
                for (job, outcome) in jobs.iter().zip(outcomes) {
                    if let Err(rejection) = outcome
                        && let Some(text) = failure(job, &rejection)
                    {
                        failures.entry(job.instance).or_insert(text);
                    }
                }
            }
            Err(error) => {
                let text: Arc<str> = error.to_string().into();
                for job in &jobs {
                    failures.entry(job.instance).or_insert_with(|| Arc::clone(&text));
                }
            }
        }
    }

    fn plan_instance(
        &self,
        kernel: &Kernel,
        instance: InstanceId,
        previous: Option<&Holding>,
        jobs: &mut Vec<Job>,
        failures: &mut Failures,
    ) {
        let Some(holding) = self.holdings.get(instance) else { return };
        let has_new_lease = previous.is_none_or(|previous| previous.lease != holding.lease);
        let devices: BTreeSet<&Device> =
            previous.into_iter().chain([holding]).flat_map(|holding| holding.places.keys()).collect();
        for device in devices {
            let wanted = holding.on(device);
            let before = previous.map(|previous| previous.on(device)).unwrap_or_default();
            let Some(index) = device.index(&kernel.observed) else {
                if !wanted.is_empty() {
                    let text = || format!("there is no link {device}").into();
                    failures.entry(instance).or_insert_with(text);
                }
                continue;
            };
            let has_new_lease = has_new_lease || before.is_empty();
            let operations = self.plan_device(kernel, index, device, wanted, before, has_new_lease);
            jobs.extend(
                operations
                    .into_iter()
                    .map(|operation| job(instance, device, index, operation, holding.lease)),
            );
        }
    }

    fn plan_device(
        &self,
        kernel: &Kernel,
        index: u32,
        device: &Device,
        wanted: &[Prefixed],
        previous: &[Prefixed],
        has_new_lease: bool,
    ) -> Vec<Operation> {
        let present = |address| {
            let found = kernel.observed.find(index, address);
            found
                .map(|found| Present { prefix_length: found.prefix_length, is_ours: found.is_ours })
                .collect()
        };
        plan(wanted, previous, has_new_lease, present, |address| self.holdings.claims(device, address))
    }

    /// An address of ours with a network could be that network's primary one, and when it goes the kernel would take the
    /// others along.
    fn promote_secondaries(&mut self, kernel: &mut Kernel, jobs: &[Job]) {
        for job in jobs {
            let Operation::Add(address) = job.operation else { continue };
            let Some(index) = job.device.index(&kernel.observed) else { continue };
            if address.address.is_ipv6() || address.is_host() || !self.promoted.insert(index) {
                continue;
            }
            let request = Request::set_device(index, &[(DeviceSetting::PromoteSecondaries, 1)]);
            let outcome = kernel.execute(&[request]);
            let refusal = match outcome.as_deref() {
                Err(error) => Some(error.to_string()),
                Ok([Err(rejection)]) => Some(rejection.to_string()),
                Ok(_) => None,
            };
            if let Some(refusal) = refusal {
                self.promoted.remove(&index);
                let text = format!(
                    "cannot set promote_secondaries on {}: {refusal}; when {address} goes, other addresses of its network can go too",
                    job.device
                );
                kernel.trouble(text);
            }
        }
    }

    fn remove_unused(
        &mut self,
        kernel: &mut Kernel,
        previous: &[(InstanceId, Option<Holding>)],
        failures: &mut Failures,
    ) {
        for (instance, previous) in previous {
            for device in previous.iter().flat_map(|previous| previous.places.keys()) {
                if device.virtual_mac.is_some()
                    && !self.holdings.uses(device)
                    && let Err(text) = self.macvlans.remove(kernel, device)
                {
                    failures.entry(*instance).or_insert_with(|| text.into());
                }
            }
        }
    }

    /// What is there counts, not what was acknowledged.
    fn verify(
        &mut self,
        kernel: &Kernel,
        instance: InstanceId,
        failures: &mut Failures,
    ) -> Result<(), Arc<str>> {
        let Some(holding) = self.holdings.get_mut(instance) else { return Ok(()) };
        for (device, addresses) in &holding.places {
            let index = device.index(&kernel.observed);
            for address in addresses {
                if index.is_some_and(|index| kernel.observed.find(index, address.address).next().is_some()) {
                    holding.held.insert(address.address);
                } else {
                    let text = || format!("{address} is not on {device} although the kernel took it").into();
                    failures.entry(instance).or_insert_with(text);
                }
            }
        }
        failures.remove(&instance).map_or(Ok(()), Err)
    }
}

fn job(instance: InstanceId, device: &Device, index: u32, operation: Operation, lease: Option<u32>) -> Job {
    let request = match operation {
        Operation::Remove(address) => Request::remove_address(index, address),
        Operation::Add(address) => Request::add_address(index, address, lease),
        Operation::Renew(address) => Request::renew_address(index, address, lease),
    };
    Job { instance, device: device.clone(), operation, request }
}

/// Reads what notifications do not show: IPv6 addresses are told later, and an address that went and came back by a renewal
/// just then is there without a word.
fn read_unseen(kernel: &mut Kernel, jobs: &[Job], outcomes: &[Result<(), Rejection>]) {
    let exists = |outcome: &Result<(), Rejection>| {
        outcome.as_ref().is_err_and(|rejection| rejection.errno == libc::EEXIST)
    };
    let unseen = || jobs.iter().zip(outcomes).filter(|(job, _)| is_unseen(kernel, job));
    if unseen().any(|(_, outcome)| exists(outcome)) {
        kernel.read_everything();
    } else if unseen().any(|(job, _)| job.is_ipv6()) {
        kernel.read_new_ipv6_addresses();
    }
}

/// Whether it adds an address that is not in sight.
fn is_unseen(kernel: &Kernel, job: &Job) -> bool {
    let Operation::Add(Prefixed { address, .. }) = job.operation else { return false };
    let index = job.device.index(&kernel.observed);
    index.is_some_and(|index| kernel.observed.find(index, address).next().is_none())
}

/// Whether a rejection matters: adding what has come up meanwhile and removing what has gone do not.
fn failure(job: &Job, rejection: &Rejection) -> Option<Arc<str>> {
    let (verb, address, harmless) = match job.operation {
        Operation::Add(address) => ("add", address, [libc::EEXIST, libc::EEXIST]),
        Operation::Remove(address) => ("remove", address, [libc::EADDRNOTAVAIL, libc::ENODEV]),
        Operation::Renew(address) => ("renew", address, [libc::ENOENT, libc::ENOENT]),
    };
    let device = &job.device;
    (!harmless.contains(&rejection.errno))
        .then(|| format!("cannot {verb} {address} on {device}: {rejection}").into())
}

/// What a sweep removed.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// Link name and address.
    pub(crate) addresses: Vec<String>,
    /// Names.
    pub(crate) links: Vec<String>,
    pub(crate) failures: Vec<String>,
}

/// Removes all that carries our tag, except what is kept.
pub(crate) fn sweep(
    kernel: &mut Kernel,
    keeps_address: impl Fn(u32, Prefixed) -> bool,
    keeps_link: impl Fn(u32) -> bool,
) -> Swept {
    let mut requests = Vec::new();
    let mut names = Vec::new();
    let name =
        |index| kernel.observed.link(index).map_or_else(|| index.to_string(), |link| link.name.to_string());
    for (index, address) in kernel.observed.ours().filter(|(index, address)| !keeps_address(*index, *address))
    {
        requests.push(Request::remove_address(index, address));
        names.push(format!("{} {address}", name(index)));
    }
    let addresses = requests.len();
    // Addresses first: they are gone at once, a link takes milliseconds.
    for link in kernel.observed.links().filter(|link| link.is_ours && !keeps_link(link.index)) {
        requests.push(Request::delete_link(link.index));
        names.push(link.name.to_string());
    }
    let mut swept = Swept::default();
    match kernel.execute(&requests) {
        Ok(outcomes) => {
            for (number, (name, outcome)) in names.into_iter().zip(outcomes).enumerate() {
                match outcome {
                    Err(rejection) if !matches!(rejection.errno, libc::EADDRNOTAVAIL | libc::ENODEV) => {
                        swept.failures.push(format!("cannot remove {name}: {rejection}"));
                    }
                    _ if number < addresses => swept.addresses.push(name),
                    _ => swept.links.push(name),
                }
            }
        }
        Err(error) => swept.failures.push(error.to_string()),
    }
    swept
}
