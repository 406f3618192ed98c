//! TCP sockets by state: no answer of netlink's and no table counts more than it has room for, and a
//! socket in a known state is counted in that state.
#![no_main]

use libfuzzer_sys::{arbitrary, fuzz_target};
use moonward::collect::tcp_states::{Counts, STATES, read_answer, read_table};

#[derive(Debug, arbitrary::Arbitrary)]
struct Input<'a> {
    /// States of sockets in an answer that is whole.
    states: Vec<u8>,
    answer: &'a [u8],
    table: &'a str,
}

fn sum(counts: &Counts) -> u64 {
    counts.states.iter().sum::<u64>() + counts.lost
}

fuzz_target!(|input: Input<'_>| {
    let mut counts = Counts::default();
    let mut answer = Vec::new();
    for state in &input.states {
        let mut message = [0; 20];
        message[..4].copy_from_slice(&20_u32.to_ne_bytes());
        message[4..6].copy_from_slice(&20_u16.to_ne_bytes());
        message[17] = *state;
        answer.extend(message);
    }
    assert!(!read_answer(&answer, &mut counts).expect("it is whole"));
    assert_eq!(sum(&counts), input.states.len() as u64);
    for (index, count) in counts.states.iter().enumerate() {
        let number = index + 1;
        let same = |state: &&u8| {
            usize::from(**state) == number || (**state == 12 && STATES[index] == "syn_recv")
        };
        assert_eq!(*count, input.states.iter().filter(same).count() as u64);
    }

    let mut counts = Counts::default();
    drop(read_answer(input.answer, &mut counts));
    assert!(sum(&counts) <= input.answer.len() as u64 / 16);

    let mut counts = Counts::default();
    read_table(input.table, &mut counts);
    assert!(sum(&counts) <= input.table.lines().count() as u64);
});
