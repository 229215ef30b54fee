// Development only: answers that many calls give.
export const problem = (status, code, message) => [status, { error: { code, message } }];
export const missing = problem(404, 'not_found', 'That is not here any more.');
