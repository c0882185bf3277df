//! The resume token of hactl: the tokens of all nodes in one word that survives a shell.

use std::collections::BTreeMap;

/// One word for the tokens of these nodes: `node-a=TOKEN,node-b=TOKEN`, with `%XX` for what a shell or the format itself
/// would take apart.
pub(crate) fn encode(tokens: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> =
        tokens.iter().map(|(node, token)| format!("{}={}", escape(node), escape(token))).collect();
    pairs.join(",")
}

/// The tokens by node. A word without `=` is one agent's own token; it stands under the empty name.
///
/// # Errors
/// When it cannot have come from hactl.
pub(crate) fn decode(word: &str) -> Result<BTreeMap<String, String>, String> {
    if word.is_empty() {
        return Err("the token is empty".to_owned());
    }
    if !word.contains('=') {
        return Ok(BTreeMap::from([(String::new(), unescape(word)?)]));
    }
    word.split(',')
        .map(|pair| {
            let (node, token) = pair.split_once('=').ok_or("a part of the token has no node")?;
            Ok((unescape(node)?, unescape(token)?))
        })
        .collect()
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b':' | b'/' | b'+' => {
                out.push(byte as char)
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let code = rest.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.ok_or("the token is damaged: % without two digits")?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| "the token is damaged".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_of_one_agent_may_be_given_as_it_is() {
        assert_eq!(decode("abc.12"), Ok(BTreeMap::from([(String::new(), "abc.12".to_owned())])));
        assert!(decode("").is_err());
        assert!(decode("a=1,b").is_err());
        assert!(decode("a=%4").is_err());
        assert!(decode("a=%zz").is_err());
        assert!(decode("a=%ff").is_err());
    }

    proptest! {
        #[test]
        fn tokens_come_back_whatever_they_contain(
            tokens in prop::collection::btree_map(".{1,8}", ".{0,12}", 1..4)
        ) {
            let word = encode(&tokens);
            prop_assert!(!word.contains([' ', '\'', '"', '$', '&', ';']));
            prop_assert_eq!(decode(&word), Ok(tokens));
        }
    }
}
