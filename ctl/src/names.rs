//! Resource names: taking them apart and putting them together. They follow AIP-122, so no segment contains a slash.

/// The last segment: the name of the thing itself.
pub(crate) fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The node of `nodes/{node}/…`; empty when there is none.
pub(crate) fn node(name: &str) -> &str {
    let mut segments = name.split('/');
    match (segments.next(), segments.next()) {
        (Some("nodes"), Some(node)) => node,
        _ => "",
    }
}

/// `nodes/{node}/instances/{instance}` as a user writes it: `node/instance`. Other names stay as they are.
pub(crate) fn instance_label(name: &str) -> String {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["nodes", node, "instances", instance] => format!("{node}/{instance}"),
        _ => name.to_owned(),
    }
}

/// What stands below the node, without its collections: `web/w1/http` of `nodes/a/pools/web/servers/w1/checks/http`.
pub(crate) fn below_node(name: &str) -> String {
    name.split('/').skip(3).step_by(2).collect::<Vec<_>>().join("/")
}

/// A name as a user writes it: the node, and what stands below it. Other names stay as they are.
pub(crate) fn label(name: &str) -> String {
    match below_node(name) {
        below if below.is_empty() => name.strip_prefix("nodes/").unwrap_or(name).to_owned(),
        below => format!("{}/{below}", node(name)),
    }
}

/// The collection of `nodes/{node}/{collection}/{leaf}`; empty for a node itself.
pub(crate) fn collection(name: &str) -> &str {
    name.split('/').nth(2).unwrap_or("")
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
pub(crate) fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            // Let the last star swallow one character more.
            _ => match star {
                Some((at, swallowed)) => {
                    star = Some((at, swallowed + 1));
                    p = at + 1;
                    t = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a pattern names exactly one thing.
pub(crate) fn is_literal(pattern: &str) -> bool {
    !pattern.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_by_segment() {
        assert_eq!(last("nodes/a/instances/web"), "web");
        assert_eq!(last("web"), "web");
        assert_eq!(node("nodes/a/vips/2001:db8::1"), "a");
        assert_eq!(node("a"), "");
        assert_eq!(instance_label("nodes/a/instances/web"), "a/web");
        assert_eq!(collection("nodes/a/vips/10.0.0.1"), "vips");
        assert_eq!(collection("nodes/a"), "");
        assert_eq!(below_node("nodes/a/pools/web/servers/w1/checks/http"), "web/w1/http");
        assert_eq!(label("nodes/a/checks/nginx"), "a/nginx");
        assert_eq!((label("nodes/a"), label("web")), ("a".to_owned(), "web".to_owned()));
    }

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("node-*", "node-a", true),
            ("*-a", "node-a", true),
            ("n*d*a", "node-a", true),
            ("n?de-a", "node-a", true),
            ("n?de", "nde", false),
            ("*a*b", "xaxb", true),
            ("*a*b", "xaxbc", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
