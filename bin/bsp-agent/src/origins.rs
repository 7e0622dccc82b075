//! Which settings came from the environment, so that an error can say where the value is that is
//! wrong.

use clap::Command;
use std::{env, ffi::OsString};

/// Flags that were not given, whose variables were.
#[derive(Debug, Default)]
pub(crate) struct Origins(Vec<FromVariable>);

#[derive(Debug)]
struct FromVariable {
    flag: String,
    variable: String,
}

impl Origins {
    /// Of a command line.
    pub(crate) fn of(command: &Command, line: &[OsString]) -> Self {
        let from_variable = command.get_arguments().filter_map(|arg| {
            let flag = format!("--{}", arg.get_long()?);
            let variable = arg.get_env()?;
            env::var_os(variable)?;
            let is_given = line.iter().any(|argument| is_flag(&argument.to_string_lossy(), &flag));
            let variable = variable.to_string_lossy().into_owned();
            (!is_given).then_some(FromVariable { flag, variable })
        });
        Self(from_variable.collect())
    }

    /// Names the variable behind each flag that a message names.
    pub(crate) fn name_variables(&self, message: &str) -> String {
        let mut told = message.to_owned();
        for FromVariable { flag, variable } in &self.0 {
            if let Some(end) = end_of_flag(&told, flag) {
                told.insert_str(end, &format!(" (from the variable {variable})"));
            }
        }
        told
    }
}

fn is_flag(argument: &str, flag: &str) -> bool {
    argument.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Where a message's first mention of a flag ends; behind the quotation mark, if it is quoted.
fn end_of_flag(message: &str, flag: &str) -> Option<usize> {
    let (start, _) = message.match_indices(flag).find(|(start, _)| {
        let rest = message.get(start + flag.len()..).unwrap_or_default();
        let mut next = rest.chars();
        match next.next() {
            Some('.') => !next.next().is_some_and(char::is_alphanumeric),
            Some(after) => !(after.is_alphanumeric() || after == '-'),
            None => true,
        }
    })?;
    let end = start + flag.len();
    let is_quoted = message.get(..start)?.ends_with('\'');
    let rest = message.get(end..)?;
    Some(if is_quoted { rest.find('\'').map_or(end, |quote| end + quote + 1) } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_variable_behind_a_flag() {
        let pairs = [("--metrics", "M"), ("--metrics.port", "P"), ("--block-divisor", "D")];
        let from = |(flag, variable): (&str, &str)| FromVariable {
            flag: flag.to_owned(),
            variable: variable.to_owned(),
        };
        let origins = Origins(pairs.into_iter().map(from).collect());
        for (message, told) in [
            ("--block-divisor is 0", "--block-divisor (from the variable D) is 0"),
            (
                "invalid value 'x' for '--block-divisor <N>': no",
                "invalid value 'x' for '--block-divisor <N>' (from the variable D): no",
            ),
            ("give another --metrics.port", "give another --metrics.port (from the variable P)"),
            ("see --metrics.", "see --metrics (from the variable M)."),
            ("--metrics.addr is bad", "--metrics.addr is bad"),
        ] {
            assert_eq!(origins.name_variables(message), told);
        }
    }
}
