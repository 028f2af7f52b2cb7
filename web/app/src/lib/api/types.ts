// Provisional until the daemon's generated file arrives.
export type MessageState = 'waiting' | 'stored' | 'delivered' | 'received';
export type Direction = 'in' | 'out';
export type ErrorBody = { code: string; message: string; hint: string };
export type Contact = {
  contact: string; name: string; conversation: string; verified: boolean; rejoined: boolean; rejoining: boolean;
};
export type Notice = { notice: 'they_rejoined' } | { notice: 'we_rejoined' } | { notice: 'missing'; count: number };
export type Message = {
  id: number; conversation: string; contact: string; direction: Direction; text: string; sent_at: number;
  state: MessageState; needs_newer_version?: boolean;
} & (Notice | { notice?: undefined });
export type Conversation = { contact: Contact; last: Message | null; unread: number };
export type Trouble = 'unreachable' | 'no_answer' | 'busy' | 'work_too_hard' | 'work_too_slow' | 'silent' | 'too_fast' | 'no_document' | 'refused';
export type Online =
  | { state: 'online'; since: number }
  | { state: 'connecting'; failed: number; trouble?: Trouble; retry_at?: number }
  | { state: 'proving'; attempts: number }
  | { state: 'offline' };
export type PaceStatus = { name: string; packets_per_second: number; bytes_per_month: number };
export type Status = {
  name: string; network: string; network_id: string; online: Online; pace: PaceStatus;
  crowd: { size: string; mix_delay_ms: number; gateways: number; mixes: number; stores: number };
  queued: { messages: number; writes: number; reads: number };
  followed: number; registered: number; collector: string; loop_loss: number | null; round_trip_ms: number | null;
  refused_answers: number; stores_busy: boolean;
  document: { epoch: number; valid_until: number; expired: boolean };
  rejoining: number; clock: 'right' | 'behind' | 'unsure'; halted?: ErrorBody;
};
