// SPDX-FileCopyrightText: The OneHop authors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// One thing that goes wrong, and what the client makes of it, as a line of JSON:
// node faults.mjs FAULT, with OPENAI_BASE_URL and OPENAI_API_KEY.
import OpenAI from "openai";

const client = new OpenAI();
const messages = [{ role: "user", content: "One hop?" }];
const ask = (model, options) => client.chat.completions.create({ model, messages }, options);

// The client's waits of whole seconds, which are noted and cut short.
const waits = [];
const later = globalThis.setTimeout;
globalThis.setTimeout = (act, ms, ...rest) => {
  const waits_to_retry = ms === 1000 || ms === 5000;
  if (waits_to_retry) waits.push(ms);
  return later(act, waits_to_retry ? 200 : ms, ...rest);
};

const faults = {
  busy: () => ask("busy", { maxRetries: 0 }),
  retried: () => ask("busy", { maxRetries: 50 }),
  starting: () => ask("starting", { maxRetries: 50 }),
  large: () => client.chat.completions.create({
    model: "qwen3-8b",
    messages: [{ role: "user", content: "x".repeat(1_000_001) }],
  }),
  timeout: () => ask("busy", { maxRetries: 0, timeout: 900 }),
  dying: async () => {
    const chunks = await client.chat.completions.create({ model: "dying", messages, stream: true });
    for await (const dummy of chunks);
  },
  pieces: async () => {
    const tool = {
      name: "hops",
      parameters: { type: "object", properties: { count: { enum: [1, 2] } }, required: ["count"] },
    };
    const stream = client.chat.completions.stream({
      model: "qwen3-8b",
      messages,
      tools: [{ type: "function", function: tool }],
    });
    let count = 0;
    stream.on("tool_calls.function.arguments.delta", () => count++);
    const whole = await stream.finalChatCompletion();
    return { count, call: whole.choices[0].message.tool_calls[0].function };
  },
};

let said;
try {
  said = { answer: await faults[process.argv[2]]() };
} catch (error) {
  const { status, code, message } = error;
  said = { error: error.constructor.name, status, code, message };
}
console.log(JSON.stringify({ ...said, waits }));
