//! Archives from anywhere: in whatever pieces they come, they are read in the same way.
#![no_main]

use bsp_pinner::http::{CarItem, CarReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((piece, archive)) = input.split_first() else { return };
    let in_pieces = read(archive, usize::from(*piece) + 1);
    assert_eq!(in_pieces, read(archive, archive.len().max(1)));
});

/// The items, and whether the archive ends after them as it should.
fn read(archive: &[u8], piece: usize) -> (Vec<CarItem>, bool) {
    let (mut reader, mut items) = (CarReader::new(), Vec::new());
    for piece in archive.chunks(piece) {
        reader.push(piece);
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(_) => return (items, false),
            }
        }
    }
    let whole = reader.finish().is_ok();
    (items, whole)
}
