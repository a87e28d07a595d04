/**
 * What a constructor throws for a constant that makes no sense: a negative delay, a failure percentage of 101.
 *
 * Designs are constants of the program, so a wrong one is a bug to be seen when the module is loaded, not an error of a
 * call. The message says which option of which constructor was given what, and what it must be.
 *
 * @since 0.1.0
 */
export { InvalidOption } from "../internal/option.ts"
