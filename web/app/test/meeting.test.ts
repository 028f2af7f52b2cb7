import { describe, expect, it } from 'vitest';
import type { Contact, Invitation } from '$lib/api/types';
import { RuntimeError } from '$lib/runtime/runtime';
import { Meeting } from '$lib/stores/meeting.svelte';
import { Program } from './runtime';

const open = (invitation: string, link: string | null): Invitation => ({ invitation, link, made_at: 1, expires_at: 2 });
const BEA = { contact: 'b', name: 'Bea' } as Contact;

function begin(...invitations: Invitation[]): { program: Program; meeting: Meeting; has: (now: Invitation[]) => void } {
  const program = new Program();
  const has = (now: Invitation[]): void => {
    program.answers.invitations = () => ({ invitations: now });
  };
  has(invitations);
  return { program, meeting: new Meeting(program), has };
}

describe('open invitations', () => {
  it('are those of the program: the newest is shown, or the one that was chosen', async () => {
    const { meeting, has } = begin(open('1', 'xchat:1'), open('2', 'xchat:2'));
    await meeting.load();
    expect(meeting.current?.link).toBe('xchat:2');
    meeting.chosen = '1';
    expect(meeting.current?.link).toBe('xchat:1');
    has([open('2', 'xchat:2'), open('3', null)]);
    meeting.moved('1', 'expired');
    await expect.poll(() => meeting.current?.invitation).toBe('3');
    expect(meeting.making).toBe(true);
  });

  it('one that is made is shown when it is ready, wherever it was asked for', async () => {
    const { program, meeting, has } = begin();
    program.answers.invite = () => {
      has([open('1', 'xchat:1')]);
      return { link: 'xchat:1' };
    };
    const made = meeting.invite();
    expect(meeting.making).toBe(true);
    await made;
    expect([meeting.making, meeting.chosen, meeting.current?.link]).toEqual([false, '1', 'xchat:1']);
  });

  it('one that is taken back while it is made is no trouble', async () => {
    const { program, meeting } = begin();
    program.answers.invite = () => Promise.reject(new RuntimeError({ code: 'invalid', message: 'withdrawn', hint: '' }));
    await meeting.invite();
    expect(meeting.inviteTrouble).toBe(null);
    program.answers.invite = () => Promise.reject(new RuntimeError({ code: 'no_network', message: '', hint: '' }));
    await meeting.invite();
    expect(meeting.inviteTrouble?.code).toBe('no_network');
  });

  it('tell who accepted the one that is shown, and nobody else', async () => {
    const { meeting } = begin(open('1', 'xchat:1'), open('2', 'xchat:2'));
    await meeting.load();
    meeting.moved('1', 'accepted');
    meeting.arrived(BEA, true);
    expect(meeting.met).toBe(null);
    meeting.moved('2', 'accepted');
    meeting.arrived(BEA, false);
    expect(meeting.met).toBe(null);
    meeting.moved('2', 'accepted');
    meeting.arrived(BEA, true);
    expect(meeting.met).toBe(BEA);
  });
});
