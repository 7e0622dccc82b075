//! Archives from anywhere: both readers agree on them, and what they accept, written again, they
//! accept again.
#![no_main]

use bsp_codec::car::{CarLimits, CarReader, read_car, write_car};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|archive: &[u8]| {
    let limits = CarLimits { max_block_len: 4096, max_blocks: 16 };
    let streamed = stream(archive, limits);
    let Ok(car) = read_car(archive, limits) else {
        assert!(streamed.is_none());
        return;
    };
    assert_eq!(streamed, Some(car.blocks.len()));
    let mut again = Vec::new();
    write_car(&car.root, car.blocks.iter().map(|(cid, block)| (*cid, *block)), &mut again)
        .expect("a vector takes everything");
    assert_eq!(again.len(), archive.len());
    assert_eq!(read_car(&again, limits).expect("the same blocks"), car);
});

/// Number of blocks, `None` where the archive is refused.
fn stream(archive: &[u8], limits: CarLimits) -> Option<usize> {
    let mut reader = CarReader::new(archive, limits).ok()?;
    let mut blocks = 0;
    while reader.next_block().ok()?.is_some() {
        blocks += 1;
    }
    Some(blocks)
}
