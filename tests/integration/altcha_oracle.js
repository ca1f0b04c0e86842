// altcha-lib, as a browser and as a server that is not ours.
//
//     altcha_oracle.js solve CHALLENGE
//     altcha_oracle.js verify SECRET SOLUTION
//     altcha_oracle.js make SECRET PARAMETERS
//
// CHALLENGE and PARAMETERS are JSON. Prints: the solution as the widget sends it; the result of verifySolution; the
// challenge.
const { createChallenge, solveChallenge, verifySolution } = require('altcha-lib');
const { deriveKey } = require('altcha-lib/algorithms/pbkdf2');

const calls = {
  async solve(text) {
    const challenge = JSON.parse(text);
    return btoa(JSON.stringify({ challenge, solution: await solveChallenge({ challenge, deriveKey }) }));
  },
  async verify(hmacSignatureSecret, text) {
    return JSON.stringify(await verifySolution({ ...JSON.parse(atob(text)), deriveKey, hmacSignatureSecret }));
  },
  async make(hmacSignatureSecret, parameters) {
    return JSON.stringify(await createChallenge({ ...JSON.parse(parameters), deriveKey, hmacSignatureSecret }));
  },
};

const [call, ...words] = process.argv.slice(2);
calls[call](...words).then(console.log);
