// The language in use. A second catalogue takes the shape of `en`; this file chooses.
import { en } from './en';

export const words = en;
export type Words = typeof en;

/** For dates and numbers; the browser's own. */
export const locale: string | undefined = undefined;
