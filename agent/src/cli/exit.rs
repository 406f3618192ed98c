//! What the exit statuses mean.
//!
//! The numbers are those of sysexits(3), except that a value that is not there is 1, as with
//! `grep`. `moonward help exit` prints them.

use crate::serve::control::codec::ErrorKind;

/// It worked.
pub const OK: u8 = 0;
/// There is no such value, `doctor` found a problem, or the script of `exec` failed.
pub const NOTHING: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// The service does not answer, or a part of the program is missing.
pub const UNAVAILABLE: u8 = 69;
/// The service could not do it.
pub const SOFTWARE: u8 = 70;
/// Reading or writing failed.
pub const INPUT_OUTPUT: u8 = 74;
/// The service is busy or too slow; trying again may help.
pub const TEMPORARY: u8 = 75;
/// The service's reply makes no sense or is not whole.
pub const PROTOCOL: u8 = 76;
/// Not permitted.
pub const PERMISSION: u8 = 77;
/// The configuration is wrong.
pub const CONFIGURATION: u8 = 78;

/// The statuses as help text.
pub const HELP: &str = "\
Exit status
  0   it worked
  1   there is no such value; doctor: there is a problem; exec: the script failed
  64  the command line is wrong
  69  the service does not answer, or a part of the program is missing
  70  the service could not do it
  74  reading or writing failed
  75  the service is busy or too slow; try again
  76  the service's reply makes no sense or is not whole
  77  not permitted
  78  the configuration is wrong
";

/// The exit status that stands for a reply of the service.
pub const fn of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Unknown => NOTHING,
        ErrorKind::Usage => USAGE,
        ErrorKind::Denied => PERMISSION,
        ErrorKind::Busy => TEMPORARY,
        ErrorKind::Configuration => CONFIGURATION,
        ErrorKind::Failed => SOFTWARE,
    }
}
