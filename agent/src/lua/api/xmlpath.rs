//! `xmlpath`: what a path finds in XML.

use super::{Found, Module};
use crate::lua::go::xmlpath;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("parse", |_, _, arguments| {
        let (xml, path) = (arguments.bytes(1)?, arguments.text(2)?);
        match xmlpath::find(&xml.as_bytes(), &path) {
            Ok(found) => Ok(Found::Is(found)),
            Err(error) => Ok(Found::Not(error.to_string())),
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn nodes_are_found_by_path() {
        Stage::new().pass(
            r##"local xml = '<channels><channel id="1">a</channel><channel id="2"/><channel id="3">b<i>c</i></channel></channels>'
            local found, message = xmlpath.parse(xml, "/channels/channel/@id")
            assert(message == nil and table.concat(found, ",") == "1,2,3")
            assert(table.concat(xmlpath.parse(xml, "/channels/channel"), ",") == "a,,bc")
            assert(#xmlpath.parse(xml, "/channels/none") == 0 and select("#", xmlpath.parse(xml, "/x")) == 1)
            for _, wrong in ipairs({{"<a>", "/a"}, {"", "/a"}, {xml, "/["}}) do
              local found, message = xmlpath.parse(wrong[1], wrong[2])
              assert(found == nil and type(message) == "string" and #message > 0)
            end
            assert(not pcall(xmlpath.parse, xml))"##,
        );
    }
}
