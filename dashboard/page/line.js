// @ts-check
// The line to the server. Gradio hears the answers to all its events on one stream, which the server ends when it knows
// of no event that is still to be answered. One that is sent at that moment is taken to be answered on the stream that
// has just ended, and is lost. Here the page is given a stream without an end: a connection stands behind it whenever
// an answer is due.

const ask = window.fetch.bind(window);
const due = new Set(); // events that were taken on and not answered yet
const early = new Set(); // answered before it was known that they were taken on
let line = null;

function answered(id) { if (!due.delete(id)) early.add(id); }
function taken(id) { if (!early.delete(id)) due.add(id); }

// What a message of the stream says to this side of it; whether the page is to hear it too.
function heard(message) {
  const { msg, event_id: id } = JSON.parse(message.slice(message.indexOf('{')));
  if (msg === 'process_completed') answered(id);
  if (msg === 'unexpected_error' && !id) due.clear();
  return msg !== 'close_stream';
}

class Line {
  live = false;

  constructor(request) {
    this.request = request;
    this.stream = new ReadableStream({ start: out => { this.out = out; } });
  }

  // Pass on what comes on one connection, until the server ends it.
  async pass(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader(), encoder = new TextEncoder();
    for (let rest = '', part; !(part = await reader.read()).done;) {
      const messages = (rest + part.value).split('\n\n');
      rest = messages.pop();
      for (const message of messages) if (heard(message)) this.out.enqueue(encoder.encode(`${message}\n\n`));
    }
  }

  // Connected for as long as answers are due; `answer`: of a connection that there is already.
  async run(answer) {
    if (this.live) return;
    this.live = true;
    try {
      for (; answer || due.size; answer = null) await this.pass((answer || await ask(this.request.clone())).body);
      this.live = false;
    } catch (error) {
      line = null;
      this.out.error(error);
    }
  }
}

window.fetch = async (input, init) => {
  const path = new URL(input instanceof Request ? input.url : input, location.href).pathname;
  if (path.endsWith('/queue/data')) {
    const request = new Request(input, init), answer = await ask(request.clone());
    if (!answer.ok) return answer;
    line = new Line(request);
    line.run(answer);
    return new Response(line.stream, answer);
  }
  const answer = await ask(input, init);
  if (path.endsWith('/queue/join') && answer.ok) {
    taken((await answer.clone().json()).event_id);
    if (line && due.size) line.run();
  }
  return answer;
};
