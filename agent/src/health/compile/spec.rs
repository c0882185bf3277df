//! What the configuration says of a check, in the words of the probe.

use ha_config as config;
use ha_config::CheckKind;
use ha_probe as probe;
use ha_probe::{Invalid, Spec};

use super::{Environment, command_of};

/// Translates checks of one node.
pub(super) struct Compiler<'a> {
    environment: &'a Environment,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment }
    }

    /// `None`: it has no attempts of its own.
    pub(super) fn spec(&self, check: &config::Check) -> Result<Option<Spec>, Invalid> {
        Ok(Some(match &check.kind {
            CheckKind::Icmp(kind) => Spec::Icmp(probe::Icmp {
                target: target(&kind.target),
                count: kind.count,
                tolerated_loss_percent: kind.tolerated_loss_percent,
                size: kind.size,
            }),
            CheckKind::Tcp(kind) => Spec::Tcp(probe::Tcp { target: target(&kind.target) }),
            CheckKind::TcpKeepalive(kind) => Spec::TcpKeepalive(probe::TcpKeepalive {
                target: target(&kind.target),
                idle: kind.idle,
                probe_interval: kind.probe_interval,
                probe_count: kind.probe_count,
                user_timeout: kind.user_timeout,
                timeout: check.policy.timeout,
                retry: kind.retry,
            }),
            CheckKind::Udp(kind) => Spec::Udp(udp(kind)),
            CheckKind::Dns(kind) => Spec::Dns(dns(kind)),
            CheckKind::Script(kind) => Spec::Script(self.script(kind, check)),
            CheckKind::Http(kind) => Spec::Http(http(kind)?),
            CheckKind::Grpc(kind) => Spec::Grpc(probe::Grpc {
                target: target(&kind.target),
                tls: kind.tls.as_ref().map(tls),
                service: kind.service.clone(),
                host: None,
            }),
            CheckKind::Smtp(kind) => Spec::Smtp(probe::Smtp {
                target: target(&kind.target),
                hello: kind.hello.clone().unwrap_or_else(|| self.environment.node.clone()),
                security: match &kind.security {
                    config::SmtpSecurity::None => probe::SmtpSecurity::None,
                    config::SmtpSecurity::Starttls(options) => probe::SmtpSecurity::StartTls(tls(options)),
                    config::SmtpSecurity::Tls(options) => probe::SmtpSecurity::Tls(tls(options)),
                },
            }),
            CheckKind::Tls(kind) => {
                Spec::Tls(probe::Tls { target: target(&kind.target), tls: tls(&kind.tls) })
            }
            CheckKind::Process(kind) => Spec::Process(process(kind)),
            CheckKind::File(kind) => Spec::File(probe::NumberFile {
                path: kind.path.clone(),
                minimum: kind.minimum,
                maximum: kind.maximum,
                missing: kind.missing,
            }),
            CheckKind::Interface(kind) => Spec::Interface(probe::Interface { name: kind.interface.clone() }),
            CheckKind::Route(kind) => Spec::Route(probe::Route {
                destination: kind.destination,
                gateway: kind.gateway,
                interface: kind.interface.clone(),
                table: kind.table,
            }),
            CheckKind::Expr => return Ok(None),
        }))
    }

    fn script(&self, kind: &config::ScriptCheck, check: &config::Check) -> probe::Script {
        let command = command_of(&kind.command, &check.policy.name, check.policy.timeout);
        let commands = self.environment.commands.clone();
        probe::Script { command, value_from_exit: kind.value_from_exit, commands }
    }
}

fn target(target: &config::Target) -> probe::Target {
    let config::Origin { source, interface, mark } = &target.origin;
    probe::Target {
        host: match &target.host {
            config::Host::Address(address) => probe::Host::Address(*address),
            config::Host::Name(name) => probe::Host::Name(name.as_str().into()),
        },
        port: target.port,
        connect_address: target.connect_address,
        connect_port: target.connect_port,
        origin: probe::Origin { address: *source, device: interface.as_deref().map(Into::into), mark: *mark },
    }
}

fn udp(kind: &config::UdpCheck) -> probe::Udp {
    probe::Udp {
        target: target(&kind.target),
        payload: kind.payload.clone(),
        reply: kind.reply.as_ref().map(|reply| match reply {
            config::UdpReply::Any => probe::Reply::Any,
            config::UdpReply::Octets(octets) => probe::Reply::Begins(octets.clone().into()),
            config::UdpReply::Matches(expression) => probe::Reply::Matches(expression.clone()),
        }),
    }
}

fn dns(kind: &config::DnsCheck) -> probe::Dns {
    probe::Dns {
        target: target(&kind.target),
        name: kind.query.clone(),
        record_type: match kind.record {
            config::DnsRecord::A => probe::RecordType::A,
            config::DnsRecord::Aaaa => probe::RecordType::Aaaa,
            config::DnsRecord::Cname => probe::RecordType::Cname,
            config::DnsRecord::Mx => probe::RecordType::Mx,
            config::DnsRecord::Ns => probe::RecordType::Ns,
            config::DnsRecord::Ptr => probe::RecordType::Ptr,
            config::DnsRecord::Soa => probe::RecordType::Soa,
            config::DnsRecord::Srv => probe::RecordType::Srv,
            config::DnsRecord::Txt => probe::RecordType::Txt,
        },
        code: probe::ResponseCode(kind.response_code),
        answers: match &kind.answers {
            config::DnsAnswers::Any => probe::Answers::Any,
            config::DnsAnswers::Some => probe::Answers::Some,
            config::DnsAnswers::These(answers) => probe::Answers::These(answers.clone()),
        },
        only_tcp: kind.tcp,
    }
}

fn http(kind: &config::HttpCheck) -> Result<probe::Http, Invalid> {
    let header = |(name, value): &(String, config::Secret)| probe::Header {
        name: name.clone(),
        value: value.expose().to_owned(),
    };
    Ok(probe::Http {
        target: target(&kind.target),
        tls: kind.tls.as_ref().map(tls),
        version: match kind.version {
            config::HttpVersion::Http1 => probe::HttpVersion::One,
            config::HttpVersion::Http2 => probe::HttpVersion::Two,
        },
        method: kind.method.clone(),
        path: kind.path.clone(),
        host: None,
        headers: kind.headers.iter().map(header).collect(),
        status: probe::StatusSet::new(kind.status.iter().map(|(first, last)| *first..=*last).collect())?,
        body: probe::BodyRules {
            matches: kind.body_matches.clone(),
            lacks: kind.body_lacks.clone(),
            sha256: kind.body_sha256,
            md5: kind.body_md5,
        },
        body_limit: kind.body_limit,
    })
}

fn tls(options: &config::TlsOptions) -> probe::TlsOptions {
    probe::TlsOptions {
        verify: options.verify,
        server_name: options.server_name.clone(),
        ca_file: options.ca_file.clone(),
        certificate_file: options.certificate_file.clone(),
        key_file: options.key_file.clone(),
        expires_within: options.expires_within,
    }
}

fn process(kind: &config::ProcessCheck) -> probe::Process {
    let (field, text) = match &kind.process {
        config::ProcessMatch::Name(text) => (probe::Field::Name, text),
        config::ProcessMatch::CommandLine(text) => (probe::Field::CommandLine, text),
    };
    let extent = match kind.extent {
        config::MatchExtent::Whole => probe::Extent::Whole,
        config::MatchExtent::Beginning => probe::Extent::Beginning,
        config::MatchExtent::Part => probe::Extent::Part,
    };
    let matching = probe::Matching { field, text: text.clone(), extent };
    probe::Process { matching, minimum: kind.minimum, maximum: kind.maximum }
}
