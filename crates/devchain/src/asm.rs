//! A small assembler for the EVM, so that the chain's contracts can be read.
//!
//! Source is a sequence of words separated by white space; `;` starts a comment that runs to the
//! end of the line.
//!
//! | word | meaning |
//! |---|---|
//! | `SLOAD` | the opcode of that name |
//! | `255`, `0xff` | the shortest push of that number (`PUSH0` for zero); a hexadecimal number keeps its leading zeros |
//! | `loop:` | a jump destination with that name |
//! | `@loop` | a two-byte push of that destination |
//!
//! Operands are pushed before the opcode that takes them, the one it takes first last:
//!
//! ```
//! use bsp_devchain::asm::assemble;
//!
//! // storage[1] = 42
//! assert_eq!(assemble("42 1 SSTORE").unwrap()[..], [0x60, 42, 0x60, 1, 0x55]);
//! ```

use alloy_primitives::{Bytes, U256, hex};
use revm::bytecode::opcode::{self, OpCode};
use std::collections::BTreeMap;

/// Why a source text is no program. Lines count from one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AsmError {
    /// A word that is neither an opcode, a number, a label nor a reference to one.
    #[error("line {line}: {word:?} is no opcode, number, label or reference")]
    UnknownWord {
        /// Line of the word.
        line: usize,
        /// The word.
        word: String,
    },
    /// A number that does not fit into 32 bytes.
    #[error("line {line}: {word:?} does not fit into 32 bytes")]
    NumberTooLarge {
        /// Line of the number.
        line: usize,
        /// The number as written.
        word: String,
    },
    /// A reference to a label that is nowhere defined.
    #[error("line {line}: label {label:?} is not defined")]
    UndefinedLabel {
        /// Line of the reference.
        line: usize,
        /// The label.
        label: String,
    },
    /// A second definition of a label.
    #[error("line {line}: label {label:?} is already defined")]
    DuplicateLabel {
        /// Line of the second definition.
        line: usize,
        /// The label.
        label: String,
    },
    /// A label beyond what a two-byte push can reach.
    #[error("line {line}: label {label:?} lies beyond byte 65535")]
    LabelOutOfReach {
        /// Line of the reference.
        line: usize,
        /// The label.
        label: String,
    },
}

/// A push of a label, to be filled in once all labels are known.
struct Reference {
    line: usize,
    label: String,
    /// Where the two bytes of the destination stand in the code.
    at: usize,
}

#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    labels: BTreeMap<String, usize>,
    references: Vec<Reference>,
}

/// Assembles a source text to EVM code.
///
/// # Errors
///
/// [`AsmError`] names the line and the word that cannot be assembled.
pub fn assemble(source: &str) -> Result<Bytes, AsmError> {
    let mut assembler = Assembler::default();
    for (index, text) in source.lines().enumerate() {
        let text = text.split(';').next().unwrap_or_default();
        for word in text.split_whitespace() {
            assembler.word(index + 1, word)?;
        }
    }
    assembler.link()
}

impl Assembler {
    fn word(&mut self, line: usize, word: &str) -> Result<(), AsmError> {
        if let Some(label) = word.strip_suffix(':') {
            self.define(line, label)
        } else if let Some(label) = word.strip_prefix('@') {
            self.refer(line, label);
            Ok(())
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            self.push(&number(line, word)?);
            Ok(())
        } else {
            let unknown = || AsmError::UnknownWord { line, word: word.to_owned() };
            self.code.push(opcode_named(word).ok_or_else(unknown)?.get());
            Ok(())
        }
    }

    fn define(&mut self, line: usize, label: &str) -> Result<(), AsmError> {
        if self.labels.insert(label.to_owned(), self.code.len()).is_some() {
            return Err(AsmError::DuplicateLabel { line, label: label.to_owned() });
        }
        self.code.push(opcode::JUMPDEST);
        Ok(())
    }

    fn refer(&mut self, line: usize, label: &str) {
        self.code.push(opcode::PUSH2);
        self.references.push(Reference { line, label: label.to_owned(), at: self.code.len() });
        self.code.extend([0, 0]);
    }

    /// Pushes at most 32 bytes.
    fn push(&mut self, bytes: &[u8]) {
        let width = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        debug_assert!(width <= 32, "numbers are checked to fit a word");
        self.code.push(opcode::PUSH0.saturating_add(width));
        self.code.extend_from_slice(bytes);
    }

    fn link(mut self) -> Result<Bytes, AsmError> {
        for Reference { line, label, at } in self.references {
            let Some(&target) = self.labels.get(&label) else {
                return Err(AsmError::UndefinedLabel { line, label });
            };
            let Ok(target) = u16::try_from(target) else {
                return Err(AsmError::LabelOutOfReach { line, label });
            };
            for (byte, value) in self.code.iter_mut().skip(at).zip(target.to_be_bytes()) {
                *byte = value;
            }
        }
        Ok(self.code.into())
    }
}

fn opcode_named(name: &str) -> Option<OpCode> {
    (0..=u8::MAX).filter_map(OpCode::new).find(|op| op.as_str() == name)
}

/// The bytes that a number pushes: none for a decimal zero, all written digits of a hexadecimal
/// one.
fn number(line: usize, word: &str) -> Result<Vec<u8>, AsmError> {
    let unknown = || AsmError::UnknownWord { line, word: word.to_owned() };
    let bytes = match word.strip_prefix("0x") {
        Some(digits) => hex::decode(digits).map_err(|_| unknown())?,
        None if word.len() > 78 => Vec::from([0; 33]),
        None => match U256::from_str_radix(word, 10) {
            Ok(value) => value.to_be_bytes_trimmed_vec(),
            Err(_) if word.chars().all(|c| c.is_ascii_digit()) => Vec::from([0; 33]),
            Err(_) => return Err(unknown()),
        },
    };
    if bytes.len() > 32 {
        return Err(AsmError::NumberTooLarge { line, word: word.to_owned() });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pushes_are_as_short_as_the_number() {
        assert_eq!(assemble("0").unwrap()[..], [0x5f]);
        assert_eq!(assemble("255").unwrap()[..], [0x60, 0xff]);
        assert_eq!(assemble("256").unwrap()[..], [0x61, 1, 0]);
        assert_eq!(assemble("0x00ff").unwrap()[..], [0x61, 0, 0xff]);
    }

    #[test]
    fn labels_are_linked_forwards_and_backwards() {
        let code = assemble("start: @end JUMP ; over the loop\n @start JUMP end: STOP").unwrap();
        assert_eq!(code[..], [0x5b, 0x61, 0, 9, 0x56, 0x61, 0, 0, 0x56, 0x5b, 0x00]);
    }

    #[test]
    fn errors_name_line_and_word() {
        let unknown = AsmError::UnknownWord { line: 2, word: "SLOADS".into() };
        assert_eq!(assemble("0\nSLOADS"), Err(unknown));
        let undefined = AsmError::UndefinedLabel { line: 1, label: "x".into() };
        assert_eq!(assemble("@x"), Err(undefined));
        let duplicate = AsmError::DuplicateLabel { line: 1, label: "x".into() };
        assert_eq!(assemble("x: x:"), Err(duplicate));
        let large = format!("0x{}", "00".repeat(33));
        assert!(matches!(assemble(&large), Err(AsmError::NumberTooLarge { line: 1, .. })));
        let large = format!("{}0", U256::MAX);
        assert!(matches!(assemble(&large), Err(AsmError::NumberTooLarge { line: 1, .. })));
    }

    proptest! {
        #[test]
        fn any_opcode_and_any_number_assemble(op in any::<u8>(), number in any::<[u8; 32]>()) {
            prop_assume!(OpCode::new(op).is_some());
            let number = U256::from_be_bytes(number);
            let name = OpCode::new(op).unwrap().as_str();
            let code = assemble(&format!("{number} {name}")).unwrap();
            let width = number.byte_len();
            prop_assert_eq!(usize::from(code[0]), 0x5f + width);
            prop_assert_eq!(U256::from_be_slice(&code[1..=width]), number);
            prop_assert_eq!(&code[1 + width..], &[op]);
        }

        #[test]
        fn no_text_panics(source in "\\PC{0,80}") {
            let _ = assemble(&source);
        }
    }
}
