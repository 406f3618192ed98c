//! `crypto`: checksums.

use std::fmt::Write;

use md5::{Digest, Md5};

use super::Module;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    // Not OpenSSL's, which refuses it where the system is set to approved algorithms only.
    module.function("md5", |_, _, arguments| {
        Ok(hexadecimal(&Md5::digest(arguments.bytes(1)?.as_bytes())))
    })?;
    module.function("sha256", |_, _, arguments| {
        Ok(hexadecimal(&openssl::sha::sha256(
            &arguments.bytes(1)?.as_bytes(),
        )))
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_53_checksums_are_lower_case_hexadecimal() {
        Stage::new().pass(
            "assert(crypto.md5('') == 'd41d8cd98f00b204e9800998ecf8427e')
             assert(crypto.md5('a\\0b') == '70350f6027bce3713f6b76473084309b')
             assert(crypto.sha256('abc') ==
               'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
             local ok, message = pcall(crypto.md5, nil)
             assert(message:find('bad argument #1 to md5 %(string expected, got nil%)'), message)",
        );
    }
}
