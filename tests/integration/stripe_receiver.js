// A receiver of messages that lets Stripe's library verify them, also changed ones and at other times.
//
//     stripe_receiver.js VERIFY FIRST-SECRET SECOND-SECRET
//
// VERIFY is an expression of `stripe`, `body`, `request` and `secret`. Prints the port; then a line of JSON about each
// message: for each case the reservation of the event, or the type of the error.
const http = require('http');
const stripe = require('stripe');

const [expression, first, second] = process.argv.slice(2);
const verify = new Function('stripe', 'body', 'request', 'secret', `return ${expression}`);
const realNow = Date.now;

function outcome(body, request, secret, minutesLater = 0) {
  Date.now = () => realNow() + minutesLater * 60e3;
  try {
    return verify(stripe, body, request, secret).reservation_id;
  } catch (error) {
    return error.type ?? `${error}`;
  } finally {
    Date.now = realNow;
  }
}

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  console.log(JSON.stringify({
    'with the first secret': outcome(body, request, first),
    'with the second secret': outcome(body, request, second),
    'with another secret': outcome(body, request, 'another-secret-of-this-test'),
    'with a changed body': outcome(Buffer.concat([body, Buffer.from(' ')]), request, first),
    '4 minutes later': outcome(body, request, first, 4),
    '6 minutes later': outcome(body, request, first, 6),
  }));
  response.end();
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
