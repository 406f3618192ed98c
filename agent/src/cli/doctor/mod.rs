//! `moonward doctor`: what this machine allows, and what to do about the rest.
pub fn run(_: &mut lexopt::Parser) -> Result<u8, super::verb::Stopped> {
    Ok(0)
}
